//! When a shutdown happens, and when users are warned of it.

use sys::clock::Shown;

/// From so many minutes on, nobody but root may log in.
pub(super) const NO_LOGINS: u32 = 5;

/// Returns how many minutes a time is away: `now`, `+m`, `m`, or `hh:mm` on the clock that shows
/// `clock`. A time that has passed today is tomorrow's.
pub(super) fn minutes(text: &[u8], clock: Shown) -> Result<u32, &'static str> {
    if text == b"now" {
        return Ok(0);
    }
    let Some(colon) = text.iter().position(|byte| *byte == b':') else {
        let digits = text.strip_prefix(b"+").unwrap_or(text);
        return number(digits, u32::MAX).ok_or("illegal time value");
    };
    let (hour, minute) = (text.get(..colon).unwrap_or(text), text.get(colon + 1..).unwrap_or(text));
    let hour = number(hour, 23).ok_or("illegal hour value")?;
    let minute = number(minute, 59).ok_or("illegal minute value")?;
    let day = 24 * 60;
    Ok((day + hour * 60 + minute - clock.hour * 60 - clock.minute) % day)
}

/// Reports whether users are warned when so many minutes are left. Source: spec 11.6.
pub(super) fn is_told(left: u32) -> bool {
    match left {
        0..10 => true,
        10..60 => left.is_multiple_of(15),
        60..180 => left.is_multiple_of(30),
        180.. => left.is_multiple_of(60),
    }
}

fn number(digits: &[u8], most: u32) -> Option<u32> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (all && number <= most).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Shown = Shown { hour: 12, minute: 30 };

    #[test]
    fn a_time_is_minutes_or_an_hour_of_today_or_tomorrow() {
        let table = [
            ("now", 0),
            ("+0", 0),
            ("+5", 5),
            ("5", 5),
            ("007", 7),
            ("+1000000", 1_000_000),
            ("12:30", 0),
            ("12:31", 1),
            ("13:00", 30),
            ("1:05", 12 * 60 + 35),
            ("12:29", 24 * 60 - 1),
            ("00:00", 11 * 60 + 30),
            ("23:59", 11 * 60 + 29),
        ];
        for (text, expected) in table {
            assert_eq!(minutes(text.as_bytes(), NOON), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_by_its_part() {
        let table = [
            ("", "illegal time value"),
            ("+", "illegal time value"),
            ("++5", "illegal time value"),
            ("-5", "illegal time value"),
            ("5m", "illegal time value"),
            ("Now", "illegal time value"),
            ("4294967296", "illegal time value"),
            ("24:00", "illegal hour value"),
            (":30", "illegal hour value"),
            ("x:30", "illegal hour value"),
            ("+1:30", "illegal hour value"),
            ("12:60", "illegal minute value"),
            ("12:", "illegal minute value"),
            ("12:3x", "illegal minute value"),
            ("12:30:00", "illegal minute value"),
        ];
        for (text, expected) in table {
            assert_eq!(minutes(text.as_bytes(), NOON), Err(expected), "{text}");
        }
    }

    #[test]
    fn warnings_come_closer_together_as_the_end_does() {
        let told: Vec<u32> = (0..=300).rev().filter(|left| is_told(*left)).collect();
        let far = [300, 240, 180, 150, 120, 90, 60, 45, 30, 15];
        assert_eq!(told, far.into_iter().chain((0..10).rev()).collect::<Vec<_>>());
    }
}
