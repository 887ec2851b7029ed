//! What `fleet top` knows and shows, and what each key does to it. Pure: looks at nothing, prints
//! nothing; what has to be done comes back as an effect.

use std::cmp::Ordering;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::observe::{Flag, PaneState, Row};
use crate::runfile::heartbeat::Health;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Message {
    /// A key.
    Key(KeyEvent),
    /// A paste.
    Paste(String),
    /// A look at the fleet.
    Look(Look),
    /// The fleet could not be looked at; why.
    Unseen(String),
    /// What an agent's terminal shows, or why that is not known.
    Preview {
        /// Whose.
        name: String,
        /// The last lines.
        shown: Result<Vec<String>, String>,
    },
    /// An agent's last lines, asked for to be read.
    Tail {
        /// Whose.
        name: String,
        /// The lines.
        shown: Result<Vec<String>, String>,
    },
    /// Something that was asked for has been done, or not.
    Told(String),
    /// So many seconds have gone by since the last look came.
    Waiting(u64),
}

/// One look at the fleet.
#[derive(Debug, Clone)]
pub struct Look {
    /// The tenant.
    pub tenant: String,
    /// The machine.
    pub host: String,
    /// When, for people.
    pub time: String,
    /// The rows.
    pub rows: Vec<Row>,
    /// Why it could not be looked at, or not at everything.
    pub trouble: Option<String>,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// To end.
    Quit,
    /// To look now.
    Look,
    /// To see what that agent's terminal shows.
    Preview(String),
    /// To read that agent's last lines.
    Tail(String),
    /// To hand the terminal over to a look at that agent's.
    Watch(String),
    /// To hand the terminal over to that agent.
    Attach(String),
    /// To restart that agent.
    Restart(String),
    /// To send that agent a text.
    Send(String, String),
}

/// What keys go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The table.
    Table,
    /// The filter, being typed.
    Filter,
    /// The list of keys.
    Help,
    /// A question about an agent, answered by `y` or not.
    Ask(Question, String),
    /// A text for an agent, being typed.
    Compose(String, String),
    /// An agent's last lines, from this line on.
    Read {
        /// Whose.
        name: String,
        /// The lines.
        lines: Vec<String>,
        /// The first that is shown.
        from: usize,
    },
}

/// What is asked before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether to attach.
    Attach,
    /// Whether to restart.
    Restart,
}

/// In which order rows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// As in the roster.
    Roster,
    /// What is wrong first.
    Trouble,
    /// By name.
    Name,
    /// The longest idle first.
    Idle,
    /// The largest first.
    Memory,
    /// The most often restarted first.
    Restarts,
}

impl Sort {
    const ALL: [Self; 6] =
        [Self::Roster, Self::Trouble, Self::Name, Self::Idle, Self::Memory, Self::Restarts];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Roster => "roster",
            Self::Trouble => "trouble",
            Self::Name => "name",
            Self::Idle => "idle",
            Self::Memory => "memory",
            Self::Restarts => "restarts",
        }
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL.get(at + 1).copied().unwrap_or(Self::Roster)
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        let trouble =
            |row: &Row| (row.is_faulty(), !row.flags.is_empty(), row.pane.state == PaneState::Unknown);
        match self {
            Self::Roster => Ordering::Equal,
            Self::Trouble => trouble(b).cmp(&trouble(a)),
            Self::Name => a.name.cmp(&b.name),
            Self::Idle => b.idle_seconds.unwrap_or(-1.0).total_cmp(&a.idle_seconds.unwrap_or(-1.0)),
            Self::Memory => b.memory_bytes.cmp(&a.memory_bytes),
            Self::Restarts => b.restarts.cmp(&a.restarts),
        }
    }
}

/// Everything that is shown.
#[derive(Debug, Clone)]
pub struct Model {
    /// The last look; `None` before the first.
    pub look: Option<Look>,
    /// Why there was none after it.
    pub unseen: Option<String>,
    /// Seconds since it came, where that is worth telling.
    pub waiting: u64,
    /// The order.
    pub sort: Sort,
    /// What rows must have in them.
    pub filter: String,
    /// The row that keys are about, by its name.
    pub selected: Option<String>,
    /// The last lines of its terminal, or why they are not known.
    pub preview: Option<(String, Result<Vec<String>, String>)>,
    /// Whether the terminal is shown.
    pub with_preview: bool,
    /// What keys go to.
    pub mode: Mode,
    /// What was last done.
    pub told: Option<String>,
    /// Whether texts can be sent.
    pub can_send: bool,
    /// Rows of the table that fit, as last drawn.
    pub page: usize,
}

impl Model {
    /// Before the first look.
    pub fn new(can_send: bool) -> Self {
        Self {
            look: None,
            unseen: None,
            waiting: 0,
            sort: Sort::Roster,
            filter: String::new(),
            selected: None,
            preview: None,
            with_preview: true,
            mode: Mode::Table,
            told: None,
            can_send,
            page: 10,
        }
    }

    /// The rows that are shown, in their order.
    pub fn rows(&self) -> Vec<&Row> {
        let all = self.look.iter().flat_map(|look| &look.rows);
        let mut rows: Vec<&Row> = all.filter(|row| matches(row, &self.filter)).collect();
        rows.sort_by(|a, b| self.sort.compare(a, b));
        rows
    }

    /// The selected row's place among those.
    pub fn place(&self) -> Option<usize> {
        let name = self.selected.as_deref()?;
        self.rows().iter().position(|row| row.name == name)
    }

    /// The selected row.
    pub fn row(&self) -> Option<&Row> {
        self.place().and_then(|at| self.rows().get(at).copied())
    }

    /// Takes something in; what has to be done about it.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Key(key) => self.key(key),
            Message::Paste(text) => {
                if let Mode::Compose(_, draft) = &mut self.mode {
                    draft.push_str(&text.replace('\r', "\n"));
                }
                Vec::new()
            }
            Message::Look(look) => {
                self.look = Some(look);
                (self.unseen, self.waiting) = (None, 0);
                self.select_something()
            }
            // What was seen last stays: a roster that is being written is no empty fleet.
            Message::Unseen(why) => {
                (self.unseen, self.waiting) = (Some(why), 0);
                Vec::new()
            }
            Message::Preview { name, shown } => {
                self.preview = Some((name, shown));
                Vec::new()
            }
            Message::Tail { name, shown } => {
                match shown {
                    // Somebody types by now: what was asked for before must not take the keys.
                    _ if self.mode != Mode::Table => {}
                    Ok(lines) => {
                        let from = lines.len().saturating_sub(self.page.max(1));
                        self.mode = Mode::Read { name, lines, from };
                    }
                    Err(why) => self.told = Some(format!("{name}: {why}")),
                }
                Vec::new()
            }
            Message::Told(what) => {
                self.told = Some(what);
                vec![Effect::Look]
            }
            Message::Waiting(seconds) => {
                self.waiting = seconds;
                Vec::new()
            }
        }
    }

    fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return vec![Effect::Quit];
        }
        match std::mem::replace(&mut self.mode, Mode::Table) {
            Mode::Table => self.command(key),
            Mode::Filter => self.filter_key(key),
            Mode::Help => Vec::new(),
            Mode::Ask(question, name) => match (key.code, question) {
                (KeyCode::Char('y' | 'Y'), Question::Attach) => vec![Effect::Attach(name)],
                (KeyCode::Char('y' | 'Y'), Question::Restart) => {
                    self.told = Some(format!("restarting {name}"));
                    vec![Effect::Restart(name)]
                }
                _ => {
                    self.told = Some("nothing was done".to_owned());
                    Vec::new()
                }
            },
            Mode::Compose(name, draft) => self.compose(name, draft, key),
            Mode::Read { name, lines, from } => {
                self.read(name, lines, from, key.code);
                Vec::new()
            }
        }
    }

    fn command(&mut self, key: KeyEvent) -> Vec<Effect> {
        self.told = None;
        let page = isize::try_from(self.page).unwrap_or(10);
        match key.code {
            KeyCode::Char('q') => return vec![Effect::Quit],
            KeyCode::Down | KeyCode::Char('j') => return self.step(1),
            KeyCode::Up | KeyCode::Char('k') => return self.step(-1),
            KeyCode::PageDown => return self.step(page),
            KeyCode::PageUp => return self.step(-page),
            KeyCode::Home => return self.step(isize::MIN / 2),
            KeyCode::End => return self.step(isize::MAX / 2),
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Esc => {
                self.filter.clear();
                return self.select_something();
            }
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('p') => self.with_preview = !self.with_preview,
            KeyCode::Char(' ') => return vec![Effect::Look],
            KeyCode::Enter | KeyCode::Char('w') => return self.about_selected(Effect::Watch),
            KeyCode::Char('t') => return self.about_selected(Effect::Tail),
            KeyCode::Char('a') => self.ask(Question::Attach),
            KeyCode::Char('R') => self.ask(Question::Restart),
            KeyCode::Char('m') if self.can_send => {
                if let Some(name) = self.agent() {
                    self.mode = Mode::Compose(name, String::new());
                }
            }
            _ => {}
        }
        Vec::new()
    }

    fn filter_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Enter => return self.select_something(),
            KeyCode::Esc => {
                self.filter.clear();
                return self.select_something();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(c) => self.filter.push(c),
            _ => {}
        }
        self.mode = Mode::Filter;
        self.select_something()
    }

    fn compose(&mut self, name: String, mut draft: String, key: KeyEvent) -> Vec<Effect> {
        match key.code {
            KeyCode::Esc => {
                self.told = Some("nothing was sent".to_owned());
                return Vec::new();
            }
            KeyCode::Enter if draft.trim().is_empty() => return Vec::new(),
            KeyCode::Enter => {
                self.told = Some(format!("sending to {name}"));
                return vec![Effect::Send(name, draft)];
            }
            KeyCode::Backspace => drop(draft.pop()),
            KeyCode::Char(c) => draft.push(c),
            _ => {}
        }
        self.mode = Mode::Compose(name, draft);
        Vec::new()
    }

    fn read(&mut self, name: String, lines: Vec<String>, from: usize, code: KeyCode) {
        let last = lines.len().saturating_sub(1);
        let from = match code {
            KeyCode::Up | KeyCode::Char('k') => from.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => from.saturating_add(1),
            KeyCode::PageUp => from.saturating_sub(self.page),
            KeyCode::PageDown | KeyCode::Char(' ') => from.saturating_add(self.page),
            KeyCode::Home => 0,
            KeyCode::End => last,
            KeyCode::Esc | KeyCode::Char('q') | KeyCode::Enter => return,
            _ => from,
        };
        self.mode = Mode::Read { name, lines, from: from.min(last) };
    }

    fn ask(&mut self, question: Question) {
        if let Some(name) = self.agent() {
            self.mode = Mode::Ask(question, name);
        }
    }

    /// The selected agent's name; a session that the roster does not have is none.
    fn agent(&mut self) -> Option<String> {
        match self.row() {
            Some(row) if row.flags.contains(&Flag::Unknown) => {
                self.told = Some(format!("the roster has no agent {}", row.name));
                None
            }
            row => row.map(|row| row.name.clone()),
        }
    }

    fn about_selected(&mut self, effect: fn(String) -> Effect) -> Vec<Effect> {
        self.agent().map(effect).into_iter().collect()
    }

    fn step(&mut self, by: isize) -> Vec<Effect> {
        let last = self.rows().len().saturating_sub(1);
        let at = self.place().unwrap_or(0).saturating_add_signed(by).min(last);
        let name = self.rows().get(at).map(|row| row.name.clone());
        self.select(name)
    }

    /// Keeps the selection where it is still shown; else the first row.
    fn select_something(&mut self) -> Vec<Effect> {
        if self.place().is_some() {
            return Vec::new();
        }
        let first = self.rows().first().map(|row| row.name.clone());
        self.select(first)
    }

    fn select(&mut self, name: Option<String>) -> Vec<Effect> {
        if name == self.selected {
            return Vec::new();
        }
        self.selected.clone_from(&name);
        self.preview = None;
        name.map(Effect::Preview).into_iter().collect()
    }
}

/// Whether a row has each word of the filter in it.
fn matches(row: &Row, filter: &str) -> bool {
    let mut text = format!("{} {}", row.name, row.pane.state.word());
    for part in [&row.runtime, &row.class, &row.model, &row.systemd.active].into_iter().flatten() {
        text.push(' ');
        text.push_str(part);
    }
    for flag in &row.flags {
        text.push(' ');
        text.push_str(flag.word());
    }
    let text = text.to_lowercase();
    filter.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

/// How many of the rows answer.
pub fn healthy(rows: &[Row]) -> usize {
    let answers = |row: &&Row| row.heartbeat.health == Health::Healthy && row.pane.state != PaneState::Dead;
    rows.iter().filter(answers).count()
}
