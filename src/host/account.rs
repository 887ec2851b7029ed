//! Until when an account may be used, by the machine's own tool: who may read the database of it is that tool's
//! business, and the user itself and root may ask.

use std::time::Duration;

use super::clock;
use super::command::Command;
use crate::snapshot::Fact;
use crate::snapshot::boot::{Account, AccountEnd};

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(2);

/// Of that user; unknown also where the caller may not ask.
pub fn look(user: &str) -> Fact<Account> {
    let chage = Command::new("chage").args(["--iso8601", "--list", user]).env("LC_ALL", "C").within(LIMIT);
    match chage.text() {
        Ok(said) => parse(&said, &today()).ok_or_else(|| format!("chage says {said:?}")).into(),
        Err(error) => Fact::Unknown(error.to_string()),
    }
}

fn today() -> String {
    clock::rfc3339(clock::unix()).chars().take("2026-11-29".len()).collect()
}

/// What `chage --iso8601 --list` of shadow 4.13 and 4.17 says.
pub fn parse(said: &str, today: &str) -> Option<Account> {
    let value = |key: &str| {
        said.lines().find_map(|line| Some(line.strip_prefix(key)?.trim_start().strip_prefix(':')?.trim()))
    };
    let (account, password) = (value("Account expires")?, value("Password expires")?);
    let end = match (day(account)?, password) {
        (_, "password must be changed") => Some(AccountEnd::PasswordChange),
        (account, password) => match (account, day(password)?) {
            (None, None) => None,
            (None, Some(day)) => Some(AccountEnd::Password(day)),
            // The account's end is the harder one, whichever comes first.
            (Some(day), None) => Some(AccountEnd::Account(day)),
            (Some(account), Some(password)) if account <= password => Some(AccountEnd::Account(account)),
            (Some(_), Some(password)) => Some(AccountEnd::Password(password)),
        },
    };
    Some(Account { end, today: today.to_owned() })
}

/// A day as text, which is what it is compared as; none for what never comes, or not in this calendar of four
/// digits a year. Nothing for what is no day.
fn day(text: &str) -> Option<Option<String>> {
    let (year, rest) = text.split_once('-').unwrap_or((text, ""));
    let is_rest = matches!(rest.as_bytes(), [m1, m2, b'-', d1, d2] if [m1, m2, d1, d2].iter().all(|d| d.is_ascii_digit()));
    let is_day = is_rest && year.len() >= 4 && year.bytes().all(|digit| digit.is_ascii_digit());
    match text {
        "never" => Some(None),
        day if is_day => Some((year.len() == 4).then(|| day.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(account: &str, password: &str) -> Option<AccountEnd> {
        let said = format!(
            "Last password change\t\t\t\t\t: never\nPassword expires\t\t\t\t\t: {password}\nPassword inactive\t\t\t\t\t: never\n\
             Account expires\t\t\t\t\t\t: {account}\nMinimum number of days between password change\t\t: 0\n"
        );
        parse(&said, "2026-11-29").expect("readable").end
    }

    #[test]
    fn whichever_ends_first_is_the_end() {
        assert_eq!(end("never", "never"), None);
        assert_eq!(end("2027-01-01", "never"), Some(AccountEnd::Account("2027-01-01".to_owned())));
        assert_eq!(end("2027-01-01", "2026-12-01"), Some(AccountEnd::Password("2026-12-01".to_owned())));
        assert_eq!(end("never", "password must be changed"), Some(AccountEnd::PasswordChange));
        assert_eq!(end("10000-01-01", "2027-01-01"), Some(AccountEnd::Password("2027-01-01".to_owned())));
        assert_eq!(end("10000-01-01", "never"), None, "as text it is before this year");
        assert_eq!(parse("chage: Permission denied.\n", "2026-11-29"), None);
        assert_eq!(parse("Account expires: soon\nPassword expires: never\n", "2026-11-29"), None);
    }

    #[test]
    fn an_account_has_ended_on_its_day_and_a_password_after_it() {
        let of = |end| Account { end: Some(end), today: "2026-11-29".to_owned() };
        let day = |text: &str| text.to_owned();
        assert!(of(AccountEnd::Account(day("2026-11-29"))).has_ended());
        assert!(!of(AccountEnd::Account(day("2026-11-30"))).has_ended());
        assert!(!of(AccountEnd::Password(day("2026-11-29"))).has_ended());
        assert!(of(AccountEnd::Password(day("2026-11-28"))).has_ended());
        assert!(of(AccountEnd::PasswordChange).has_ended());
    }
}
