//! What became of each tenant, for people and as JSON, and the exit code of all.

use serde_json::{Value, json};

use crate::cli::table::{Cell, Column, Table, Tone};
use crate::cli::{Answer, Context};
use crate::error::{Error, Kind, Result};
use crate::host::clock;
use crate::tenant::wire::Reply;
use crate::tenant::words::{clean_block, clean_line};

/// What became of one tenant.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The tenant.
    pub tenant: String,
    /// Its user.
    pub user: Option<String>,
    /// The user's number.
    pub uid: Option<u32>,
    /// What was done, in order.
    pub did: Vec<String>,
    /// What an admin should know besides.
    pub notes: Vec<String>,
    /// Why it failed.
    pub error: Option<Error>,
    /// What the tenant's own apply says.
    pub fleet: Option<Value>,
    /// How long it took.
    pub seconds: f64,
}

impl Outcome {
    /// Of a tenant for whom nothing was done yet.
    pub fn of(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..Self::default() }
    }

    /// Keeps how it ended.
    pub fn end(&mut self, result: Result<()>) {
        if let Err(error) = result {
            self.error = Some(error);
        }
    }

    /// Takes what a child answered: its words are a tenant's, and told as such.
    pub fn take(&mut self, reply: Reply) -> Result<()> {
        self.fleet = reply.value;
        self.notes.extend(reply.said.iter().map(|line| clean_line(line)));
        let hints = |error: Error, hints: &[String]| hints.iter().fold(error, Error::hint);
        match (reply.code, reply.error) {
            (0, _) => Ok(()),
            (code, Some(told)) => Err(hints(Error::new(kind(code), told.message), &told.hints)),
            (code, None) => Err(Error::new(kind(code), "the fleet is not what it should be; see above")),
        }
    }
}

fn kind(code: u8) -> Kind {
    match code {
        1 => Kind::No,
        2 => Kind::Usage,
        3 => Kind::Input,
        _ => Kind::Machine,
    }
}

/// Tells them all; the exit code is that of the failures where they agree, else 1.
pub fn conclude(outcomes: &[Outcome], as_json: bool, context: &Context) -> Result<Answer> {
    if as_json {
        context.out.json(&of_all(outcomes, context)?)?;
    } else {
        print(outcomes, context);
    }
    Ok(answer(outcomes))
}

/// The exit code of all.
fn answer(outcomes: &[Outcome]) -> Answer {
    let mut codes: Vec<i32> =
        outcomes.iter().filter_map(|o| o.error.as_ref()).map(|e| e.kind.code()).collect();
    codes.dedup();
    match codes.as_slice() {
        [] => Answer::Yes,
        [code] => Answer::Code(u8::try_from(*code).unwrap_or(4)),
        _ => Answer::No,
    }
}

fn of_all(outcomes: &[Outcome], context: &Context) -> Result<Value> {
    let host = context.host()?;
    let one = |outcome: &Outcome| {
        json!({
            "tenant_id": outcome.tenant,
            "host": host,
            "user": outcome.user,
            "uid": outcome.uid,
            "ok": outcome.error.is_none(),
            "did": outcome.did,
            "notes": outcome.notes,
            "error": outcome.error.as_ref().map(|e| json!({ "message": e.message, "hints": e.hints })),
            "fleet": outcome.fleet,
            "seconds": (outcome.seconds * 1000.0).round() / 1000.0,
        })
    };
    Ok(json!({
        "schema_version": 1,
        "host": host,
        "time": clock::rfc3339(clock::unix()),
        "ok": outcomes.iter().all(|o| o.error.is_none()),
        "tenants": outcomes.iter().map(one).collect::<Vec<_>>(),
    }))
}

fn print(outcomes: &[Outcome], context: &Context) {
    let out = &context.out;
    for outcome in outcomes {
        for note in &outcome.notes {
            out.note(format_args!("{}: {note}", outcome.tenant));
        }
        if let Some(error) = &outcome.error {
            let message = format!("{}: {}", outcome.tenant, clean_block(&error.message));
            let hints = error.hints.iter().map(|hint| clean_line(hint)).collect();
            out.error(&Error { message, hints, ..error.clone() });
        }
    }
    if outcomes.is_empty() {
        out.note("no tenant is declared; to begin with one: fleet tenant add NAME --profile minimal");
        return;
    }
    let column = |title, rank| Column { title, rank };
    let mut table = Table::new([
        column("TENANT", 0),
        column("UID", 3),
        column("STATE", 0),
        column("TIME", 2),
        column("DONE", 1),
    ]);
    for outcome in outcomes {
        let (word, tone) = match &outcome.error {
            None => ("ok", Tone::Good),
            Some(_) => ("FAILED", Tone::Bad),
        };
        let did = if outcome.did.is_empty() { "nothing to do".to_owned() } else { outcome.did.join(", ") };
        table.row([
            Cell::from(&outcome.tenant),
            outcome.uid.map_or_else(|| Cell::from("-"), Cell::from),
            Cell::toned(word, tone),
            Cell::from(format!("{:.1} s", outcome.seconds)),
            Cell::from(if outcome.error.is_some() && outcome.did.is_empty() { "-".to_owned() } else { did }),
        ]);
    }
    for line in table.lines(out.width(), out.colour()) {
        out.line(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_that_of_the_failures_where_they_agree_and_else_1() {
        let of = |errors: &[Option<Kind>]| {
            let one = |kind: &Option<Kind>| Outcome {
                error: kind.map(|kind| Error::new(kind, "why")),
                ..Outcome::of("usc")
            };
            answer(&errors.iter().map(one).collect::<Vec<_>>())
        };
        let (input, machine, no) = (Some(Kind::Input), Some(Kind::Machine), Some(Kind::No));
        assert_eq!(of(&[]), Answer::Yes);
        assert_eq!(of(&[None, None]), Answer::Yes);
        assert_eq!(of(&[machine]), Answer::Code(4));
        assert_eq!(of(&[None, input, None, input]), Answer::Code(3), "those that are well have no say");
        assert_eq!(of(&[no, no]), Answer::Code(1));
        assert_eq!(of(&[input, machine]), Answer::No);
        assert_eq!(of(&[input, machine, input]), Answer::No, "in whatever order");
    }
}
