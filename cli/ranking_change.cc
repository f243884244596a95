#include "cli/ranking_change.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/catalogue.h"
#include "cli/event_csv.h"
#include "cli/ranking.h"
#include "cli/state_text.h"
#include "cli/table.h"

namespace qlarank {
namespace {

constexpr size_t kTitleWidth = 34;

std::string Name(const Titles& titles, uint64_t item) {
  absl::string_view title = titles.Of(item);
  return title.empty() ? absl::StrCat("item ", item)
                       : Shorten(std::string(title), kTitleWidth);
}

// "new", "+3" for three places up, "-2" down, "" for the same place.
std::string Move(const std::vector<uint64_t>& before, size_t rank,
                 uint64_t item) {
  auto was = std::find(before.begin(), before.end(), item);
  if (was == before.end()) return "new";
  auto move = (was - before.begin()) - static_cast<ptrdiff_t>(rank);
  return move == 0 ? "" : absl::StrFormat("%+d", move);
}

void PrintSideBySide(const Ranking& before, const Ranking& after,
                     const Titles& titles, std::ostream& out) {
  Table table({{"rank", Align::kRight},
               {"before", Align::kLeft},
               {"after", Align::kLeft},
               {"moved", Align::kRight}});
  size_t rows = std::min(before.items.size(), after.items.size());
  for (size_t i = 0; i < rows; ++i) {
    table.AddRow({absl::StrCat(i + 1), Name(titles, before.items[i]),
                  Name(titles, after.items[i]),
                  Move(before.items, i, after.items[i])});
  }
  table.Print(out);
}

}  // namespace

absl::StatusOr<uint64_t> ShowChange(const Client& client,
                                    const v1::AppendEventsRequest& append,
                                    const std::string& bundle, uint32_t top_k,
                                    std::ostream& out) {
  absl::StatusOr<std::vector<uint64_t>> items = LoadBundleItems(bundle);
  if (!items.ok()) return items.status();
  absl::StatusOr<Titles> titles = LoadTitlesOrKeys(bundle);
  if (!titles.ok()) return titles.status();

  const v1::UserEvent& event = append.events(0);
  v1::RankRequest request;
  request.set_user_id(event.user_id());
  request.mutable_item_ids()->Add(items->begin(), items->end());
  request.set_top_k(top_k);
  *request.mutable_request_time() = event.event().time();
  absl::StatusOr<Ranking> before = RankTopUpToDate(client, request);
  if (!before.ok()) return before.status();

  absl::Time start = absl::Now();
  auto appended = client.AppendEvents(append);
  if (!appended.ok()) return appended.status();
  absl::Duration durable = absl::Now() - start;

  request.set_min_event_count(before->response.state().event_count() +
                              appended->applied());
  absl::StatusOr<Ranking> after = RankTop(client, request);
  if (!after.ok()) return after.status();

  out << "user " << event.user_id() << ", "
      << StateToText(before->response.state()) << "\n"
      << "event: " << Name(*titles, event.event().item_id()) << ", "
      << FormatTime(event.event().time()) << "\n\n";
  PrintSideBySide(*before, *after, *titles, out);
  out << absl::StreamFormat(
      "\n%s in %.1f ms; all %d candidates ranked again in %.1f ms, from %s\n",
      appended->applied() > 0 ? "durable" : "duplicate, not applied,",
      absl::ToDoubleMilliseconds(durable), request.item_ids_size(),
      absl::ToDoubleMilliseconds(after->latency),
      StateToText(after->response.state()));
  return appended->applied();
}

}  // namespace qlarank
