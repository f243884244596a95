#include "cli/date_text.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace qlarank {
namespace {

// Takes parts of a text from its front.
class Scanner {
 public:
  explicit Scanner(absl::string_view text) : rest_(text) {}

  bool AtEnd() const { return rest_.empty(); }
  // From `min` to `max` digits, as many as there are; "" if they are fewer.
  absl::string_view Digits(size_t min, size_t max) {
    size_t count = 0;
    while (count < max && count < rest_.size() &&
           absl::ascii_isdigit(rest_[count])) {
      ++count;
    }
    return Take(count >= min ? count : 0);
  }
  absl::string_view OneOf(absl::string_view chars) {
    return Take(!AtEnd() && chars.find(rest_.front()) != chars.npos);
  }

 private:
  absl::string_view Take(size_t count) {
    absl::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  absl::string_view rest_;
};

// ".25" into `fraction`; false if a point has no digits behind it.
bool TakeFraction(Scanner& text, std::string& fraction) {
  if (text.OneOf(".").empty()) return true;
  const absl::string_view digits = text.Digits(1, absl::string_view::npos);
  fraction = absl::StrCat(".", digits);
  return !digits.empty();
}

// "Z" or "+01:00" into `zone`; false if there is something else.
bool TakeZone(Scanner& text, std::string& zone) {
  if (!text.OneOf("Zz").empty()) {
    zone = "Z";
    return true;
  }
  const absl::string_view sign = text.OneOf("+-");
  const absl::string_view hours = text.Digits(2, 2);
  const bool colon = !text.OneOf(":").empty();
  const absl::string_view minutes = text.Digits(2, 2);
  zone = absl::StrCat(sign, hours, ":", minutes);
  return !sign.empty() && !hours.empty() && colon && !minutes.empty() &&
         hours < "24" && minutes < "60";
}

bool HasForm(absl::string_view text) {
  Scanner scanner(text);
  const auto number = [&](size_t digits) {
    return !scanner.Digits(digits, digits).empty();
  };
  const auto one_of = [&](absl::string_view chars) {
    return !scanner.OneOf(chars).empty();
  };
  std::string fraction;
  std::string zone;
  return number(4) && one_of("-") && number(2) && one_of("-") && number(2) &&
         one_of("Tt ") && number(2) && one_of(":") && number(2) &&
         one_of(":") && number(2) && TakeFraction(scanner, fraction) &&
         TakeZone(scanner, zone) && scanner.AtEnd();
}

// A clock as people write it, or none at all, as RFC 3339 has it.
struct Clock {
  std::string text = "00:00:00";
  std::string zone;  // "" if it does not say
};

std::string TwoDigits(absl::string_view digits) {
  return absl::StrCat(digits.size() == 1 ? "0" : "", digits);
}

bool TakeClock(Scanner& text, Clock& clock) {
  if (text.AtEnd()) return true;
  if (text.OneOf("Tt ").empty()) return false;
  const absl::string_view hour = text.Digits(1, 2);
  const bool colon = !text.OneOf(":").empty();
  const absl::string_view minute = text.Digits(2, 2);
  if (hour.empty() || !colon || minute.empty()) return false;
  absl::string_view second = "00";
  std::string fraction;
  if (!text.OneOf(":").empty()) {
    second = text.Digits(2, 2);
    if (second.empty() || !TakeFraction(text, fraction)) return false;
  }
  clock.text =
      absl::StrCat(TwoDigits(hour), ":", minute, ":", second, fraction);
  return text.AtEnd() || TakeZone(text, clock.zone);
}

}  // namespace

std::optional<absl::Time> ParseRfc3339(absl::string_view text) {
  if (!HasForm(text)) return std::nullopt;
  std::string with_t(text);
  with_t[10] = 'T';
  const bool leap_second = with_t.substr(17, 2) == "60";  // absl: the next one
  absl::Time time;
  std::string error;
  if (leap_second || text.substr(0, 4) == "0000" ||
      !absl::ParseTime(absl::RFC3339_full, with_t, &time, &error)) {
    return std::nullopt;
  }
  return time;
}

std::string RewrittenDate(absl::string_view text) {
  Scanner scanner(text);
  absl::string_view year = scanner.Digits(4, 4);
  const bool year_first = !year.empty();
  const absl::string_view first = year_first ? year : scanner.Digits(1, 2);
  const bool separated = !scanner.OneOf("-/.").empty();
  const absl::string_view second = scanner.Digits(1, 2);
  const bool again = !scanner.OneOf("-/.").empty();
  const absl::string_view third =
      year_first ? scanner.Digits(1, 2) : scanner.Digits(4, 4);
  Clock clock;
  if (first.empty() || !separated || second.empty() || !again ||
      third.empty() || !TakeClock(scanner, clock) || !scanner.AtEnd()) {
    return "";
  }
  using MonthAndDay = std::pair<absl::string_view, absl::string_view>;
  std::vector<MonthAndDay> days{{second, year_first ? third : first}};
  if (!year_first) {
    year = third;
    days.push_back({first, second});
  }
  std::vector<std::string> dates;
  for (const auto& [month, day] : days) {
    std::string date =
        absl::StrCat(year, "-", TwoDigits(month), "-", TwoDigits(day), "T",
                     clock.text, clock.zone.empty() ? "Z" : clock.zone);
    const bool known = !dates.empty() && dates.back() == date;
    if (!known && ParseRfc3339(date)) dates.push_back(std::move(date));
  }
  if (dates.empty()) return "";
  return absl::StrCat(dates.size() == 2 ? "it may be two days, " : "", "write ",
                      absl::StrJoin(dates, " or "),
                      clock.zone.empty() ? " (if it is UTC)" : "");
}

}  // namespace qlarank
