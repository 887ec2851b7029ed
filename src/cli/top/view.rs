//! The picture of a model. Pure: the same model and size give the same picture.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};

use super::columns::{self, Tone};
use super::model::{Mode, Model, Question, healthy};
use crate::observe::{Flag, Row};

/// Fewer rows than these leave no room for an agent's terminal.
const ROOM_FOR_PREVIEW: u16 = 12;

/// Whether there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// There is.
    Colour,
    /// Everything is told by words, bold and reverse alone.
    Plain,
}

impl Palette {
    fn of(self, tone: Tone) -> Style {
        let style = Style::new();
        match (self, tone) {
            (_, Tone::Plain) => style,
            (Self::Colour, Tone::Good) => style.fg(Color::Green),
            (Self::Colour, Tone::Warn) => style.fg(Color::Yellow),
            (Self::Colour, Tone::Bad) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Self::Colour, Tone::Faint) => style.fg(Color::DarkGray),
            (Self::Plain, Tone::Bad) => style.add_modifier(Modifier::BOLD),
            (Self::Plain, Tone::Good | Tone::Warn | Tone::Faint) => style,
        }
    }
}

/// Draws the model; how many rows of a list fit is noted in it.
pub fn draw(frame: &mut Frame<'_>, model: &mut Model, palette: Palette) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(header(model, palette)), head);
    frame.render_widget(Paragraph::new(footer(model, palette)), foot);
    if let Mode::Read { name, lines, from } = &model.mode {
        model.page = usize::from(body.height.saturating_sub(1)).max(1);
        let shown = lines.iter().skip(*from).take(model.page).map(|line| Line::raw(line.clone()));
        let title = format!(" {name}: line {} of {} ", from + 1, lines.len());
        let block = Block::new().borders(Borders::TOP).title(title);
        frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()).block(block), body);
        return;
    }
    let rows = u16::try_from(model.rows().len()).unwrap_or(u16::MAX);
    let with_preview = model.with_preview && body.height >= ROOM_FOR_PREVIEW;
    let table_height =
        if with_preview { rows.saturating_add(1).clamp(4, body.height / 2) } else { body.height };
    let [above, below] = Layout::vertical([Constraint::Length(table_height), Constraint::Min(0)]).areas(body);
    model.page = usize::from(above.height.saturating_sub(1)).max(1);
    table(frame, model, palette, above);
    if with_preview {
        preview(frame, model, palette, below);
    }
    if model.mode == Mode::Help {
        help(frame, body, model.can_send);
    }
}

fn header(model: &Model, palette: Palette) -> Line<'static> {
    let bad = |text: String| Span::styled(text, palette.of(Tone::Bad));
    let unseen = model.unseen.as_ref();
    let Some(look) = &model.look else {
        let why = unseen.map(|why| bad(format!("  {why}")));
        return Line::from([Span::raw(" looking at the fleet")].into_iter().chain(why).collect::<Vec<_>>());
    };
    let agents: Vec<Row> = look.rows.iter().filter(|r| !r.flags.contains(&Flag::Unknown)).cloned().collect();
    let mut spans = vec![
        Span::styled(format!(" {} on {}", look.tenant, look.host), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!("  {} of {} healthy  {}", healthy(&agents), agents.len(), look.time)),
    ];
    if model.sort != super::model::Sort::Roster {
        spans.push(Span::raw(format!("  by {}", model.sort.word())));
    }
    if !model.filter.is_empty() {
        spans.push(Span::raw(format!("  only {:?}", model.filter)));
    }
    if model.waiting > 0 {
        spans.push(bad(format!("  no answer for {} s", model.waiting)));
    } else if let Some(why) = unseen {
        spans.push(bad(format!("  as it was then: {why}")));
    } else if let Some(trouble) = &look.trouble {
        spans.push(bad(format!("  unknown: {trouble}")));
    }
    Line::from(spans)
}

fn footer(model: &Model, palette: Palette) -> Line<'static> {
    let question = |text: String| Line::styled(text, palette.of(Tone::Warn).add_modifier(Modifier::BOLD));
    match &model.mode {
        Mode::Filter => {
            Line::raw(format!(" only rows with: {}_  (Enter keeps, Esc shows all)", model.filter))
        }
        Mode::Ask(Question::Attach, name) => {
            question(format!(" attach to {name}? What you type reaches it; it says how to leave. [y/N] "))
        }
        Mode::Ask(Question::Restart, name) => question(format!(" restart {name}? [y/N] ")),
        Mode::Compose(name, draft) => {
            // Its end is what is being typed.
            let shown: String = draft.replace('\n', " / ");
            let from = shown.chars().count().saturating_sub(50);
            let shown: String = shown.chars().skip(from).collect();
            question(format!(" to {name}: {shown}_  (Enter sends, Esc does not) "))
        }
        Mode::Read { .. } => Line::raw(" arrows and Page keys move, q goes back"),
        Mode::Help => Line::raw(" any key goes back"),
        Mode::Table => match &model.told {
            Some(told) => Line::raw(format!(" {told}")),
            None => {
                let send = if model.can_send { " m:message" } else { "" };
                Line::styled(
                    format!(
                        " ?:keys q:quit w:watch t:tail a:attach R:restart{send} /:filter s:sort p:preview"
                    ),
                    palette.of(Tone::Faint),
                )
            }
        },
    }
}

fn table(frame: &mut Frame<'_>, model: &Model, palette: Palette, area: Rect) {
    let rows = model.rows();
    let shown = columns::fitting(&rows, area.width);
    let mut lines = vec![Line::styled(columns::titles(&shown), Style::new().add_modifier(Modifier::BOLD))];
    let room = usize::from(area.height.saturating_sub(1));
    let place = model.place().unwrap_or(0);
    // The selected row stands in the middle, but at both ends of the table.
    let first = place.saturating_sub(room / 2).min(rows.len().saturating_sub(room));
    for (at, row) in rows.iter().enumerate().skip(first).take(room) {
        let cells = columns::cells(row, &shown).into_iter();
        let mut line =
            Line::from(cells.map(|(text, tone)| Span::styled(text, palette.of(tone))).collect::<Vec<_>>());
        if at == place {
            line = line.patch_style(Style::new().add_modifier(Modifier::REVERSED));
        }
        lines.push(line);
    }
    if rows.is_empty()
        && let Some(look) = &model.look
    {
        let why = if look.rows.is_empty() { " nothing to show" } else { " no row has this in it" };
        lines.push(Line::raw(look.trouble.clone().map_or_else(|| why.to_owned(), |t| format!(" {t}"))));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn preview(frame: &mut Frame<'_>, model: &Model, palette: Palette, area: Rect) {
    let Some(row) = model.row() else { return };
    let block = Block::new().borders(Borders::TOP).title(format!(" {} ", row.name));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines: Vec<Line<'_>> = Vec::new();
    for reason in columns::reasons(row).take(3) {
        lines.push(Line::styled(format!(" {reason}"), palette.of(Tone::Warn)));
    }
    let room = usize::from(inner.height).saturating_sub(lines.len());
    match &model.preview {
        Some((name, Ok(shown))) if *name == row.name => {
            let from = shown.len().saturating_sub(room);
            lines.extend(shown.iter().skip(from).map(|line| Line::raw(line.clone())));
        }
        Some((name, Err(why))) if *name == row.name => lines.push(Line::raw(format!(" not shown: {why}"))),
        _ => {}
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn help(frame: &mut Frame<'_>, area: Rect, can_send: bool) {
    let mut keys = vec![
        ("up down j k", "select; Page keys, Home and End too"),
        ("w Enter", "watch the agent's terminal, read-only; q comes back"),
        ("t", "read its last lines"),
        ("a", "attach: asks first; what you type reaches the agent"),
        ("R", "restart: asks first"),
    ];
    if can_send {
        keys.push(("m", "send a message: asks for its text"));
    }
    keys.extend([
        ("/", "show only rows with these words; Esc shows all"),
        ("s", "sort: roster, trouble, name, idle, memory, restarts"),
        ("p", "show or hide the agent's terminal"),
        ("space", "look now"),
        ("q Ctrl-C", "quit"),
    ]);
    let lines: Vec<Line<'_>> =
        keys.iter().map(|(key, what)| Line::raw(format!(" {key:<12} {what}"))).collect();
    let wanted = Rect {
        x: area.x + 2,
        y: area.y,
        width: 72,
        height: u16::try_from(lines.len() + 2).unwrap_or(u16::MAX),
    };
    let area = wanted.intersection(area);
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
