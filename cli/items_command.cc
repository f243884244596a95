// qlarank items: items that come and go while a server runs (items.h).
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/items.h"
#include "cli/option_checks.h"
#include "cli/progress.h"
#include "nlohmann/json.hpp"

namespace qlarank {
namespace {

void AddFileOptions(CLI::App* command, ItemOptions& options) {
  AddItemKeysOption(command, options.columns.item.keys);
  command
      ->add_option("--item-column", options.columns.item.name,
                   "Column of a CSV file with the items")
      ->capture_default_str();
  command
      ->add_option("--batch", options.batch, "Items in a request")
      ->transform(WholeNumber(1, kMostBatchItems))
      ->capture_default_str();
  command->add_flag("--validate-only", options.validate_only,
                    "Only say what would happen");
  command
      ->add_option("--request-id", options.request_id,
                   "Of this run alone: given again with the same items, what "
                   "was done is not done again, whatever happened since. "
                   "Requests have it with /1, /2, ...")
      ->check(Utf8());
}

void AddUpsertOptions(CLI::App* upsert, ItemOptions& options) {
  upsert
      ->add_option("file", options.file,
                   "CSV, or JSON lines where it is called .jsonl")
      ->required();
  upsert
      ->add_option("--model", options.model,
                   "NAME or NAME/VERSION that embeddings are for. Default: the "
                   "server's default model")
      ->check(Utf8());
  AddFileOptions(upsert, options);
  upsert->add_option("--title-column", options.columns.title,
                     "Column of a CSV file with their titles");
  upsert
      ->add_option("--attributes", options.columns.attributes,
                   "Columns of a CSV file that are attributes of that name")
      ->delimiter(',');
  upsert
      ->add_option("--numbers", options.columns.numbers,
                   "Columns of a CSV file that are numbers of that name")
      ->delimiter(',');
  upsert->add_flag("--skip-known", options.skip_known,
                   "Leave out items that a model has already");
}

}  // namespace

void PrintTally(absl::string_view became, const ItemTally& tally,
                const ItemOptions& options, CommandContext& context) {
  if (context.json) {
    context.out << nlohmann::json{{std::string(became), tally.changed},
                                  {"unchanged", tally.unchanged},
                                  {"skipped", tally.skipped},
                                  {"catalogue_version", tally.version},
                                  {"validate_only", options.validate_only}}
                       .dump()
                << "\n";
    return;
  }
  context.out << WithCommas(tally.changed)
              << (options.validate_only ? " would be " : " ") << became << ", "
              << WithCommas(tally.unchanged) << " unchanged";
  if (options.skip_known) {
    context.out << ", " << WithCommas(tally.skipped) << " known and skipped";
  }
  context.out << "; catalogue version " << tally.version << "\n";
}

void AddItemsCommand(CommandSet& commands) {
  CommandContext& context = commands.context();
  CLI::App* items = commands.app().add_subcommand(
      "items", "Items that come and go while a server runs");
  items->require_subcommand(1);
  items->fallthrough();
  using Body = absl::StatusOr<ExitCode> (*)(CommandContext&,
                                            const ItemOptions&);
  const auto add = [&](const char* name, const char* description, Body body) {
    auto options = std::make_shared<ItemOptions>();
    CLI::App* command = commands.AddBelow(
        items, name, description,
        [options, &context, body] { return body(context, *options); });
    return std::pair(command, options);
  };
  const auto [upsert, upserted] =
      add("upsert", "Add items of a file, or say what they are now",
          UpsertItems);
  AddUpsertOptions(upsert, *upserted);
  const auto [remove, removed] = add(
      "remove", "Leave items out of rankings until they are upserted again",
      RemoveItems);
  remove->add_option("items", removed->items, "Items to remove");
  remove->add_option("--from", removed->file, "File of items to remove");
  AddFileOptions(remove, *removed);
  const auto [list, listed] =
      add("list", "Show what was upserted and removed, or what is known of "
                  "some items; exits 1 when that is nothing",
          ListItems);
  list->add_option("items", listed->items, "Only these");
  AddItemKeysOption(list, listed->columns.item.keys);
  list->add_option("--limit", listed->limit, "At most so many. Default: all")
      ->transform(WholeNumberOf<uint64_t>(1));
}

}  // namespace qlarank
