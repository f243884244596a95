#include "model/category.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace qlarank {
namespace {

using model::v1::ModelSpec;
using ::testing::HasSubstr;

// A number, a category of two values and one of three buckets.
ModelSpec Spec() {
  ModelSpec spec;
  for (const char* name : {"price", "device=tv", "device=phone", "tags#0",
                           "tags#1", "tags#2"}) {
    spec.add_event_features(name);
  }
  model::v1::Category& device = *spec.add_event_categories();
  device.set_name("device");
  device.add_values("tv");
  device.add_values("phone");
  model::v1::Category& tags = *spec.add_event_categories();
  tags.set_name("tags");
  tags.set_separator("|");
  tags.set_hash_buckets(3);
  return spec;
}

absl::Status Check(const ModelSpec& spec) {
  return CheckCategories("event_categories", spec.event_categories(),
                         spec.event_features());
}

TEST(CategoryTest, TheLastFeaturesAreWhatCategoriesAreMadeInto) {
  EXPECT_TRUE(Check(Spec()).ok()) << Check(Spec());
  EXPECT_TRUE(Check(ModelSpec()).ok());
  ModelSpec numbers;
  numbers.add_event_features("price");
  EXPECT_TRUE(Check(numbers).ok());
}

TEST(CategoryTest, WhatIsWrongIsNamed) {
  struct Case {
    std::function<void(ModelSpec&)> break_it;
    std::string message;
  };
  const auto category = [](ModelSpec& spec, int i) -> model::v1::Category& {
    return *spec.mutable_event_categories(i);
  };
  const Case cases[] = {
      {[](ModelSpec& spec) { spec.add_event_features("more"); },
       "event_categories.device: feature \"device=phone\" is in the place of "
       "its \"device=tv\""},
      {[&](ModelSpec& spec) { category(spec, 0).set_values(1, "fax"); },
       "feature \"device=phone\" is in the place of its \"device=fax\""},
      {[](ModelSpec& spec) {
         spec.mutable_event_categories()->SwapElements(0, 1);
       },
       "event_categories.tags: feature \"device=tv\""},
      {[](ModelSpec& spec) { spec.mutable_event_features()->Clear(); },
       "event_categories are made into 5 features; there are 0"},
      {[&](ModelSpec& spec) { category(spec, 0).set_hash_buckets(2); },
       "event_categories.device has values and hash_buckets"},
      {[&](ModelSpec& spec) { category(spec, 0).clear_values(); },
       "event_categories.device has 0 features; expected 1 to 1024"},
      {[&](ModelSpec& spec) { category(spec, 1).set_hash_buckets(1025); },
       "event_categories.tags has 1025 features"},
      {[&](ModelSpec& spec) { category(spec, 1).set_hash_buckets(UINT32_MAX); },
       "event_categories.tags has 4294967295 features"},
      {[&](ModelSpec& spec) { category(spec, 0).set_values(0, ""); },
       "event_categories.device.values: \"\"; expected a text"},
      {[&](ModelSpec& spec) { category(spec, 1).set_name("device"); },
       "event_categories.device is there twice"},
      {[&](ModelSpec& spec) { category(spec, 1).set_name(""); },
       "event_categories.: \"\"; expected a name"},
      {[](ModelSpec& spec) { spec.set_event_features(0, "tags"); },
       "event_categories.tags is a number, too"},
  };
  for (const Case& bad : cases) {
    ModelSpec spec = Spec();
    bad.break_it(spec);
    EXPECT_THAT(std::string(Check(spec).message()), HasSubstr(bad.message));
  }
}

}  // namespace
}  // namespace qlarank
