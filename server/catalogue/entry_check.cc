#include "server/catalogue/entry_check.h"

#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "server/catalogue/item_rows.h"
#include "server/work/field_error.h"

namespace qlarank {
namespace {

bool HasRow(const Bundle& bundle, uint64_t item_id) {
  return bundle.ItemRow(item_id) != Bundle::kOutOfVocabularyRow;
}

// As the request named it.
std::string ShownItem(const CatalogueEntry& entry) {
  return entry.item_key.empty() ? absl::StrCat(entry.item_id)
                                : Quoted(entry.item_key);
}

// INVALID_ARGUMENT for a row that a model cannot take.
absl::Status CheckRows(const CatalogueEntry& entry,
                       absl::Span<const Engine* const> engines) {
  for (const Engine* engine : engines) {
    const auto row = RowOf(entry, *engine);
    if (!row.has_value()) continue;
    absl::Status fits = engine->catalogue().Check(row->embedding, row->bias);
    if (!fits.ok()) return fits;
  }
  return absl::OkStatus();
}

// Trained rows stay: whoever wants others trains another version.
absl::Status CheckNotTrained(const CatalogueEntry& entry,
                             absl::Span<const Engine* const> engines) {
  if (entry.embedding.empty()) return absl::OkStatus();
  for (const Engine* engine : engines) {
    const Bundle& bundle = engine->bundle();
    if (entry.fingerprint == bundle.fingerprint() &&
        HasRow(bundle, entry.item_id)) {
      return absl::FailedPreconditionError(
          absl::StrCat(entry.item_key.empty() ? "item_id: " : "item_key: ",
                       ShownItem(entry), "; the model's bundle has a row of "
                       "it, which no embedding replaces"));
    }
  }
  return absl::OkStatus();
}

// `asked`: of each model, the names that it asks for.
template <typename Named, typename Asked>
absl::Status CheckNames(absl::string_view field, const Named& named,
                        absl::Span<const Engine* const> engines, Asked asked) {
  for (const auto& [name, value] : named) {
    const bool known = absl::c_any_of(engines, [&, &name = name](
                                                   const Engine* engine) {
      return absl::c_any_of(asked(engine->bundle().spec()),
                            [&, &name = name](const auto& one) {
                              return one.name() == name;
                            });
    });
    if (!known) {
      return FieldError(field, Quoted(name),
                        "no model that is served asks for it");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckContent(const CatalogueEntry& entry,
                          absl::Span<const Engine* const> engines) {
  if (!HasContent(entry)) return absl::OkStatus();
  const absl::string_view field =
      entry.attributes.empty() ? "numbers" : "attributes";
  if (absl::c_all_of(engines, [](const Engine* engine) {
        return engine->content_tower() == nullptr;
      })) {
    return absl::FailedPreconditionError(absl::StrCat(
        field, ": given; no model that is served makes rows of them"));
  }
  absl::Status status =
      CheckNames("attributes", entry.attributes, engines,
                 [](const auto& spec) -> const auto& {
                   return spec.item_attributes();
                 });
  status.Update(CheckNames(
      "numbers", entry.numbers, engines,
      [](const auto& spec) -> const auto& { return spec.item_numbers(); }));
  if (!status.ok()) return status;
  if (absl::c_any_of(engines, [&](const Engine* engine) {
        return Concerns(entry, engine->bundle());
      })) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      field, ": given for ", ShownItem(entry),
      ", which has a row in the bundle of every model that makes rows of them"));
}

}  // namespace

absl::Status CheckEntry(const CatalogueEntry& entry, size_t place, bool in_log,
                        absl::Span<const Engine* const> engines) {
  const std::string item = absl::StrCat("items[", place, "].");
  absl::Status status = CheckRows(entry, engines);
  if (status.ok()) status = CheckNotTrained(entry, engines);
  if (status.ok()) status = CheckContent(entry, engines);
  if (!status.ok()) return Within(item, status);
  const bool known =
      in_log || !entry.embedding.empty() || HasContent(entry) ||
      absl::c_any_of(engines, [&](const Engine* engine) {
        return HasRow(engine->bundle(), entry.item_id);
      });
  if (known) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(
      entry.removed ? absl::StrCat("item_ids[", place, "]")
                    : absl::StrCat(item, "item_id"),
      ": ", entry.item_id, "; neither a model nor the catalogue knows it"));
}

}  // namespace qlarank
