#include "model/context_feature.h"

#include "gtest/gtest.h"

namespace qlarank {
namespace {

TEST(ContextFeatureTest, AValueHasItsRow) {
  model::v1::ContextFeature device;
  device.set_name("device");
  device.add_values("phone");
  device.add_values("tv");
  EXPECT_EQ(NumContextRows(device), 3u);
  const ContextFeature feature(device);
  EXPECT_EQ(feature.Row("phone"), 1u);
  EXPECT_EQ(feature.Row("tv"), 2u);
  EXPECT_EQ(feature.Row(""), 0u);
  EXPECT_EQ(feature.Row("fax"), 0u);
  EXPECT_EQ(feature.default_row(), 0u);
  device.set_default_value("tv");
  EXPECT_EQ(ContextFeature(device).default_row(), 2u);
}

TEST(ContextFeatureTest, ANumberHasARowForWhatItHasReached) {
  model::v1::ContextFeature age;
  age.set_name("age");
  for (double boundary : {-1.5, 18.0, 65.0}) age.add_boundaries(boundary);
  age.set_default_value("40");
  EXPECT_EQ(NumContextRows(age), 5u);
  const ContextFeature feature(age);
  EXPECT_EQ(feature.Row("-2"), 1u);
  EXPECT_EQ(feature.Row("-1.5"), 2u);
  EXPECT_EQ(feature.Row("17.999"), 2u);
  EXPECT_EQ(feature.Row("18"), 3u);
  EXPECT_EQ(feature.Row("1.8e1"), 3u);
  EXPECT_EQ(feature.Row("1e300"), 4u);
  EXPECT_EQ(feature.default_row(), 3u);
  for (const char* none : {"", "old", "nan", "inf", "-inf", "1e999", "1,5"}) {
    EXPECT_EQ(feature.Row(none), 0u) << none;
  }
}

TEST(ContextFeatureTest, WhatDoesNotFitTogetherIsRefused) {
  model::v1::ContextFeature feature;
  feature.set_name("age");
  EXPECT_TRUE(CheckContextFeature(feature).ok());
  feature.add_boundaries(18);
  EXPECT_TRUE(CheckContextFeature(feature).ok());
  feature.set_default_value("unknown");
  EXPECT_EQ(CheckContextFeature(feature).message(),
            "context_features.age.default_value is \"unknown\"; expected a "
            "value of its");
  feature.clear_default_value();
  feature.add_boundaries(18);
  EXPECT_EQ(CheckContextFeature(feature).message(),
            "context_features.age.boundaries[1] is 18; expected finite and "
            "rising numbers");
  feature.set_boundaries(1, 19);
  feature.add_values("old");
  EXPECT_EQ(CheckContextFeature(feature).message(),
            "context_features.age has values and boundaries; expected one of "
            "them");
}

}  // namespace
}  // namespace qlarank
