//! `fleet top`: the rows of `fleet ps`, live and full-screen. Changes nothing unless a key says so.

mod columns;
mod feed;
mod model;
mod screen;
mod view;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Read};
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};

use self::feed::{EVERY, Feed, Request, why_not};
use self::model::{Effect, Message, Model};
use self::screen::Screen;
use self::view::Palette;
use super::{Answer, Context, Program, command};
use crate::error::{Error, Kind, Result};
use crate::host::command::Command;

/// A look that takes longer than this is told of.
const SILENCE: Duration = Duration::from_secs(8);
/// How long a restart or a message may take.
const TASK: Duration = Duration::from_secs(120);

/// Arguments of `fleet top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The agents of all tenants of this machine, to look at alone; only root may
    #[arg(long)]
    all_tenants: bool,
}

/// Shows the fleet until the person leaves.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Error::new(Kind::Usage, "fleet top needs a terminal, for keys and picture")
            .hint("for programs and pipes: fleet ps, fleet ps --json"));
    }
    if args.all_tenants {
        return super::tenant::live::run(context, super::tenant::live::EVERY);
    }
    // What is wrong with the roster is told in full, and before the screen is taken.
    context.roster()?;
    let failed = |error: io::Error| Error::machine(error).while_("show the fleet");
    // Signals are blocked before the feed begins, so that its threads leave them alone too.
    let screen = Screen::take().map_err(failed)?;
    let feed = Feed::start(context).map_err(failed)?;
    let palette = if context.out.colour() { Palette::Colour } else { Palette::Plain };
    let mut top =
        Top { context, screen, feed, model: Model::new(can_send()), palette, since: Instant::now() };
    let ended = top.show();
    drop(top);
    ended.map_err(failed)
}

/// Whether this program can send messages.
fn can_send() -> bool {
    let program = command(Program::Mosaic);
    program.find_subcommand("agent").and_then(|agent| agent.find_subcommand("send")).is_some()
}

struct Top<'a> {
    context: &'a Context,
    screen: Screen,
    feed: Feed,
    model: Model,
    palette: Palette,
    /// When the last look came.
    since: Instant,
}

impl Top<'_> {
    fn show(&mut self) -> io::Result<Answer> {
        self.draw()?;
        loop {
            let woken = self.screen.wait(&self.feed.woken, EVERY)?;
            if let Some(signal) = woken.ended {
                return Ok(Answer::Code(u8::try_from(128 + signal).unwrap_or(u8::MAX)));
            }
            let mut effects = Vec::new();
            let mut changed = woken.resized;
            if woken.keys {
                self.feed.ask(Request::Awake);
                while event::poll(Duration::ZERO)? {
                    let message = match event::read()? {
                        Event::Key(key) if key.kind != KeyEventKind::Release => Message::Key(key),
                        Event::Paste(text) => Message::Paste(text),
                        _ => continue,
                    };
                    effects.extend(self.model.update(message));
                    changed = true;
                }
            }
            if woken.feed {
                let mut bytes = [0; 64];
                while self.feed.woken.read(&mut bytes).is_ok_and(|count| count > 0) {}
            }
            while let Ok(message) = self.feed.messages.try_recv() {
                if matches!(message, Message::Look(_) | Message::Unseen(_)) {
                    self.since = Instant::now();
                }
                effects.extend(self.model.update(message));
                changed = true;
            }
            if self.since.elapsed() > SILENCE {
                effects.extend(self.model.update(Message::Waiting(self.since.elapsed().as_secs())));
                changed = true;
            }
            for effect in effects {
                if let Some(answer) = self.carry_out(effect)? {
                    return Ok(answer);
                }
            }
            if changed {
                self.draw()?;
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let Self { screen, model, palette, .. } = self;
        screen.terminal.draw(|frame| view::draw(frame, model, *palette)).map(drop)
    }

    /// Does it; the answer where that is the end.
    fn carry_out(&mut self, effect: Effect) -> io::Result<Option<Answer>> {
        match effect {
            Effect::Quit => return Ok(Some(Answer::Yes)),
            Effect::Look => self.feed.ask(Request::Look),
            Effect::Preview(name) => self.feed.ask(Request::Preview(name)),
            Effect::Tail(name) => self.feed.ask(Request::Tail(name)),
            Effect::Watch(name) => return self.hand_over("watch", &name),
            Effect::Attach(name) => return self.hand_over("attach", &name),
            Effect::Restart(name) => {
                let verb = if program_is_mosaic() { vec!["fleet", "restart"] } else { vec!["restart"] };
                self.feed.run(format!("restart {name}"), self.verb(&verb)?.arg(name));
            }
            Effect::Send(name, text) => {
                let command = self.verb(&["agent", "send"])?.arg(name.clone()).arg("--verify");
                self.feed.run(format!("message to {name}"), command.input(text));
            }
        }
        Ok(None)
    }

    /// Hands the terminal over to one of the verbs that need all of it.
    fn hand_over(&mut self, verb: &str, name: &str) -> io::Result<Option<Answer>> {
        self.feed.ask(Request::Pause);
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args(["agent", verb, name]).args(self.globals());
        let (output, signal) = self.screen.hand_over(command)?;
        if let Some(signal) = signal {
            return Ok(Some(Answer::Code(u8::try_from(128 + signal).unwrap_or(u8::MAX))));
        }
        if !output.status.success() {
            let why = why_not(&String::from_utf8_lossy(&output.stderr));
            self.model.update(Message::Told(why.unwrap_or_else(|| output.status.to_string())));
        }
        self.since = Instant::now();
        self.feed.ask(Request::Look);
        self.draw()?;
        Ok(None)
    }

    /// One of our own verbs, run beside the screen.
    fn verb(&self, verb: &[&str]) -> io::Result<Command> {
        let own = std::env::current_exe()?;
        Ok(Command::new(own)
            .args(verb.iter().copied())
            .args(self.globals())
            .env("NO_COLOR", "1")
            .within(TASK))
    }

    /// What this program was told of where things are.
    fn globals(&self) -> Vec<std::ffi::OsString> {
        let mut all = vec!["--mosaic-home".into(), self.context.layout.mosaic().into()];
        if let Some(roster) = &self.context.roster_file {
            all.extend(["--roster".into(), roster.into()]);
        }
        all
    }
}

fn program_is_mosaic() -> bool {
    std::env::current_exe().is_ok_and(|own| own.file_name().is_some_and(|name| name == "mosaic"))
}
