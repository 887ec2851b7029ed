//! `--all-tenants`: the views of one tenant over all of them, as root. Each is looked at by a child that
//! has become it; one that can't be reached is unknown, with the reason, and hides no other.

use std::time::Duration;

use serde_json::{Value, json};

use super::parallel;
use super::seen::{self, Tenant};
use crate::cli::table::{Cell, Column, Table, Tone};
use crate::cli::{Answer, Context, ps};
use crate::doctor;
use crate::error::{Error, Result};
use crate::host::tenant::child;
use crate::host::tenant::system::System;
use crate::host::{account, clock};
use crate::observe;
use crate::snapshot::Fact;
use crate::snapshot::boot::Account;
use crate::tenant::wire::{Reply, Request};
use crate::tenant::words::clean_line;

/// How long each view may take: a little more than the slowest thing that it waits for.
const PS: Duration = Duration::from_secs(10);
const VERIFY: Duration = Duration::from_secs(60);
const DEEP: Duration = Duration::from_secs(200);
const DOCTOR: Duration = Duration::from_secs(60);

/// What was seen of one tenant.
struct Seen {
    tenant: Tenant,
    /// The verb's own JSON, or why there is none.
    value: Result<Value, String>,
    code: u8,
}

/// `fleet ps --all-tenants`.
pub fn ps(context: &Context, probe: bool, as_json: bool) -> Result<Answer> {
    let all = look(context, &Request::Ps { probe }, PS)?;
    if as_json {
        context.out.json(&rows_json(context, &all)?)?;
    } else {
        print_rows(context, &all);
    }
    conclude(&all, |_| false)
}

/// One look of several: the table, what it can't show, and how many tenants there are.
pub fn rows(context: &Context) -> Result<(Table, Vec<String>, usize)> {
    let all = look(context, &Request::Ps { probe: false }, PS)?;
    let (table, without) = rows_of(&all);
    Ok((table, without, all.len()))
}

/// One look of several, as JSON.
pub fn rows_value(context: &Context) -> Result<Value> {
    rows_json(context, &look(context, &Request::Ps { probe: false }, PS)?)
}

fn rows_json(context: &Context, all: &[Seen]) -> Result<Value> {
    in_json(context, all, &json!({ "rows": null }))
}

/// `fleet verify --all-tenants`.
pub fn verify(context: &Context, deep: bool, as_json: bool) -> Result<Answer> {
    let all = look(context, &Request::Verify { deep }, if deep { DEEP } else { VERIFY })?;
    checked(context, &all, as_json)
}

/// `fleet doctor --all-tenants`.
pub fn doctor(context: &Context, as_json: bool) -> Result<Answer> {
    let all = look(context, &Request::Doctor, DOCTOR)?;
    checked(context, &all, as_json)
}

fn look(context: &Context, request: &Request, limit: Duration) -> Result<Vec<Seen>> {
    seen::as_root(context)?;
    let system = System::connect()?;
    let mut tenants = seen::tenants()?;
    // Nothing of it is to run, and what runs of it all the same shows in the list.
    tenants.retain(|tenant| !tenant.is_absent());
    Ok(parallel::each(tenants, |tenant| look_at(tenant, &system, request, limit), |_| {}))
}

fn look_at(tenant: Tenant, system: &System, request: &Request, limit: Duration) -> Seen {
    let reply = match &tenant.who {
        Ok(who) => child::ask(system, who, request.clone(), limit).map_err(|error| error.to_string()),
        Err(why) => Err(why.clone()),
    };
    let code = reply.as_ref().map_or(4, |reply| reply.code);
    let mut value = reply.and_then(value).and_then(|value| {
        let lost = value["fleet"] == json!(false) && tenant.has_a_fleet();
        // It may have been put out of the way.
        if lost {
            Err("there is no roster in its home, and its fleet is known of".to_owned())
        } else {
            Ok(value)
        }
    });
    if let (Ok(value), Ok(who)) = (&mut value, &tenant.who) {
        with_account(value, &who.name, request);
    }
    Seen { tenant, value, code }
}

/// Adds what root alone may ask: the child can gain no rights, so that it can't ask the machine's tool about its
/// own account.
fn with_account(value: &mut Value, user: &str, request: &Request) {
    let judge = |seen: Account| match request {
        Request::Verify { .. } => observe::verify::account(&seen, user).map(|check| json!(check)),
        _ => Some(json!(doctor::account(&seen, user))),
    };
    if !matches!(request, Request::Verify { .. } | Request::Doctor) {
        return;
    }
    let Fact::Known(Some(check)) = account::look(user).map(judge) else { return };
    if check["ok"] == json!(false) {
        value["ok"] = json!(false);
    }
    if let Some(checks) = value["checks"].as_array_mut() {
        checks.push(check);
    }
}

/// The verb's own JSON, or why it has none.
fn value(reply: Reply) -> Result<Value, String> {
    match (reply.value, reply.error) {
        (Some(value @ Value::Object(_)), _) => Ok(value),
        (_, Some(told)) => Err(told.whole()),
        (_, None) => Err("its answer is empty".to_owned()),
    }
}

/// No where a view says so, a declaration is wrong or a tenant could not be looked at; exit 4 where none
/// could.
fn conclude(all: &[Seen], says_no: impl Fn(&Value) -> bool) -> Result<Answer> {
    let unknown = all.iter().filter(|seen| seen.value.is_err()).count();
    if unknown > 0 && unknown == all.len() {
        return Err(Error::machine("no tenant could be looked at"));
    }
    let wrong = all.iter().any(|seen| seen.tenant.wrong().is_some());
    let no = wrong || all.iter().any(|seen| seen.value.as_ref().is_ok_and(&says_no));
    Ok(if no || unknown > 0 { Answer::No } else { Answer::Yes })
}

/// All of them as JSON. What root knows of a tenant stands in place of what the tenant says of itself.
fn in_json(context: &Context, all: &[Seen], unknown: &Value) -> Result<Value> {
    let host = context.host()?;
    let time = clock::rfc3339(clock::unix());
    let one = |seen: &Seen| {
        let wrong = seen.tenant.wrong().map(|error| error.message.clone());
        let (mut value, reasons) = match &seen.value {
            Ok(value) => (value.clone(), wrong.into_iter().collect()),
            Err(why) => {
                let mut value = json!({ "schema_version": 1, "tenant_id": null, "host": null, "time": time });
                if let (Some(value), Some(more)) = (value.as_object_mut(), unknown.as_object()) {
                    value.extend(more.clone());
                }
                (value, vec![why.clone()])
            }
        };
        let rows = value.get_mut("rows").and_then(Value::as_array_mut).into_iter().flatten();
        for row in rows.filter(|row| row.is_object()) {
            row["tenant_id"] = json!(seen.tenant.name);
            row["host"] = json!(host);
        }
        value["tenant_id"] = json!(seen.tenant.name);
        value["host"] = json!(host);
        value["uid"] = json!(seen.tenant.who.as_ref().ok().map(|who| who.uid));
        value["known"] = json!(seen.value.is_ok());
        value["reasons"] = json!(reasons);
        value
    };
    let tenants: Vec<Value> = all.iter().map(one).collect();
    Ok(json!({ "schema_version": 1, "host": host, "time": time, "tenants": tenants }))
}

fn text<'v>(value: &'v Value, path: &str) -> Option<&'v str> {
    value.pointer(path).and_then(Value::as_str)
}

fn cell(text: Option<&str>) -> Cell {
    Cell::from(text.map_or_else(|| "-".to_owned(), clean_line))
}

fn print_rows(context: &Context, all: &[Seen]) {
    let (table, without) = rows_of(all);
    print_table(context, &table, all);
    for line in without {
        context.out.note(line);
    }
}

/// All rows as a table, and what it can't show.
fn rows_of(all: &[Seen]) -> (Table, Vec<String>) {
    let column = |title, rank| Column { title, rank };
    let mut table = Table::new([
        column("TENANT", 0),
        column("NAME", 0),
        column("RUNTIME", 4),
        column("SYSTEMD", 3),
        column("PANE", 2),
        column("IDLE", 5),
        column("HEARTBEAT", 1),
        column("MEMORY", 6),
        column("FLAGS", 0),
    ]);
    let mut without = Vec::new();
    for seen in all {
        let tenant = &seen.tenant.name;
        without.extend(declared_wrong(seen));
        let rows = match &seen.value {
            Ok(value) => value["rows"].as_array().map(Vec::as_slice).unwrap_or_default(),
            Err(why) => {
                let dash = || Cell::from("?");
                let mut cells = vec![Cell::from(tenant)];
                cells.extend(std::iter::repeat_with(dash).take(7));
                cells.push(Cell::toned("UNREACHABLE", Tone::Bad));
                table.row(cells);
                without.push(format!("{tenant}: {}", clean_line(why)));
                continue;
            }
        };
        if rows.is_empty() {
            let why = if has_none(seen) { "it has no fleet yet" } else { "the roster has no agent" };
            without.push(format!("{tenant}: {why}"));
        }
        for row in rows {
            let flags: Vec<&str> =
                row["flags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let tone = if flags.is_empty() { Tone::Plain } else { Tone::Warn };
            table.row([
                Cell::from(tenant),
                cell(text(row, "/name")),
                cell(text(row, "/runtime")),
                cell(text(row, "/systemd/active")),
                cell(text(row, "/pane/state")),
                cell(row["idle_seconds"].as_f64().map(ps::span).as_deref()),
                cell(text(row, "/heartbeat/health")),
                cell(row["memory_bytes"].as_u64().map(ps::size).as_deref()),
                Cell::toned(clean_line(&flags.join(" ")), tone),
            ]);
        }
    }
    (table, without)
}

/// Whether the tenant says that it has not begun a fleet.
fn has_none(seen: &Seen) -> bool {
    seen.value.as_ref().is_ok_and(|value| value["fleet"] == json!(false))
}

/// That what runs may not be what was meant.
fn declared_wrong(seen: &Seen) -> Option<String> {
    let error = seen.tenant.wrong().filter(|_| seen.value.is_ok())?;
    let what = clean_line(error.message.lines().next().unwrap_or_default());
    Some(format!("{}: its declaration is not what runs: {what}", seen.tenant.name))
}

fn print_table(context: &Context, table: &Table, all: &[Seen]) {
    if all.is_empty() {
        context.out.note("no tenant is declared in /etc/mosaic/tenants.d, and no user runs a fleet");
        return;
    }
    context.out.lines(&table.lines(context.out.width(), context.out.colour()));
}

/// What `verify` and `doctor` share: a list of checks each.
fn checked(context: &Context, all: &[Seen], as_json: bool) -> Result<Answer> {
    if as_json {
        context.out.json(&in_json(context, all, &json!({ "ok": null, "checks": null }))?)?;
    } else {
        print_checks(context, all);
    }
    conclude(all, |value| value["ok"] != json!(true))
}

/// The checks that do not hold.
fn bad(value: &Value) -> Vec<&Value> {
    let is_bad = |check: &&Value| check["ok"] == json!(false) || check["level"] == json!("bad");
    value["checks"].as_array().into_iter().flatten().filter(is_bad).collect()
}

fn print_checks(context: &Context, all: &[Seen]) {
    let column = |title, rank| Column { title, rank };
    let mut table = Table::new([column("TENANT", 0), column("STATE", 0), column("SEEN", 0)]);
    for seen in all {
        let (word, tone, what) = match &seen.value {
            Err(why) => ("unknown", Tone::Warn, clean_line(why)),
            Ok(value) if has_none(seen) && value["ok"] == json!(true) => {
                ("no fleet", Tone::Plain, "it has no roster yet".to_owned())
            }
            Ok(value) if value["ok"] == json!(true) => {
                let count = value["checks"].as_array().map_or(0, Vec::len);
                ("ok", Tone::Good, format!("{count} checks hold"))
            }
            Ok(value) => {
                let ids: Vec<String> = bad(value).iter().map(|check| name_of(check)).collect();
                (
                    "BAD",
                    Tone::Bad,
                    if ids.is_empty() { format!("exit {}", seen.code) } else { ids.join(", ") },
                )
            }
        };
        table.row([Cell::from(&seen.tenant.name), Cell::toned(word, tone), Cell::from(what)]);
    }
    print_table(context, &table, all);
    all.iter().filter_map(declared_wrong).for_each(|line| context.out.note(line));
    let mut cures = false;
    for seen in all {
        for check in seen.value.as_ref().map(bad).unwrap_or_default() {
            cures |= check["cure"].is_string();
            context.out.line("");
            let what = clean_line(text(check, "/seen").unwrap_or("-"));
            context.out.line(format_args!("{}: {}: {what}", seen.tenant.name, name_of(check)));
            for key in ["expected", "cure"] {
                if let Some(said) = check[key].as_str() {
                    let label = format!("{key}:");
                    context.out.line(format_args!("  {label:<9} {}", clean_line(said)));
                }
            }
        }
    }
    if cures {
        context.out.note("a cure without sudo is the tenant's to do; as root: runuser -u USER -- COMMAND");
    }
}

fn name_of(check: &Value) -> String {
    let id = clean_line(text(check, "/id").unwrap_or("?"));
    text(check, "/agent").map_or_else(|| id.clone(), |agent| format!("{id} of {}", clean_line(agent)))
}
