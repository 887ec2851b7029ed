//! Tables for people: as wide as the terminal, whole and plain in a pipe.

use comfy_table::{Cell as Drawn, Color, ContentArrangement, Row, presets};
use owo_colors::OwoColorize;

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// When a narrow terminal drops it: the highest first, 0 never.
    pub rank: u8,
}

/// How a cell stands out, where there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// It does not.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Of little interest.
    Faint,
}

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell that stands out so.
    pub fn toned(text: impl ToString, tone: Tone) -> Self {
        Self { text: text.to_string(), tone }
    }
}

impl Cell {
    /// The text as it is written to a terminal, or elsewhere.
    fn shown(&self, colour: bool) -> String {
        match self.tone {
            _ if !colour || self.text.is_empty() => self.text.clone(),
            Tone::Plain => self.text.clone(),
            Tone::Good => self.text.green().to_string(),
            Tone::Warn => self.text.yellow().to_string(),
            Tone::Bad => self.text.red().to_string(),
            Tone::Faint => self.text.bright_black().to_string(),
        }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// Blanks between two columns.
const GAP: u16 = 2;

impl Table {
    /// A table with these columns and no row.
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        self.rows.push(cells.into());
    }

    /// The table as lines. On a terminal of that width columns are dropped and the longest cells
    /// cut until a row is one line; without a width, everything.
    pub fn lines(&self, width: Option<u16>, colour: bool) -> Vec<String> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        if self.is_plain() {
            let widths: Vec<usize> = shown.iter().map(|at| self.width_of(*at)).collect();
            let needed = |shown: &[usize]| {
                let all = shown.iter().filter_map(|at| widths.get(*at)).map(|w| w + usize::from(GAP));
                all.sum::<usize>().saturating_sub(GAP.into())
            };
            self.drop_columns(&mut shown, width, |shown| needed(shown));
            if width.is_none_or(|width| needed(&shown) <= width.into()) {
                return self.drawn_plainly(&shown, &widths, colour);
            }
        } else {
            self.drop_columns(&mut shown, width, |shown| self.drawn(shown, colour).1.into());
        }
        let (mut table, needed) = self.drawn(&shown, colour);
        if let Some(width) = width.filter(|w| *w < needed) {
            table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Drops what a terminal of that width has no room for.
    fn drop_columns(&self, shown: &mut Vec<usize>, width: Option<u16>, needed: impl Fn(&[usize]) -> usize) {
        let Some(width) = width else { return };
        shown.retain(|at| !self.is_empty(*at));
        while needed(shown) > width.into() {
            let rank = |at: &usize| self.columns.get(*at).map_or(0, |c| c.rank);
            match shown.iter().copied().max_by_key(rank).filter(|at| rank(at) > 0) {
                Some(least) => shown.retain(|at| *at != least),
                None => break,
            }
        }
    }

    /// Whether every character is one column wide: then no library has to measure thousands of cells.
    fn is_plain(&self) -> bool {
        let plain = |text: &str| text.bytes().all(|b| matches!(b, b' '..=b'~'));
        self.rows.iter().flatten().all(|cell| plain(&cell.text))
    }

    fn width_of(&self, column: usize) -> usize {
        let title = self.columns.get(column).map_or(0, |c| c.title.len());
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.len());
        cells.fold(title, usize::max)
    }

    fn drawn_plainly(&self, shown: &[usize], widths: &[usize], colour: bool) -> Vec<String> {
        let line = |cell: &dyn Fn(usize) -> (String, usize)| {
            let mut line = String::new();
            for at in shown {
                let (text, length) = cell(*at);
                line.push_str(&text);
                let width = widths.get(*at).copied().unwrap_or_default() + usize::from(GAP);
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(length)));
            }
            line.truncate(line.trim_end().len());
            line
        };
        let title = |at: usize| self.columns.get(at).map_or(("", 0), |c| (c.title, c.title.len()));
        let header = line(&|at| (title(at).0.to_owned(), title(at).1));
        let rows = self.rows.iter().map(|row| {
            line(&|at| {
                row.get(at).map_or_else(Default::default, |cell| (cell.shown(colour), cell.text.len()))
            })
        });
        std::iter::once(header).chain(rows).collect()
    }

    /// Whether no row says anything there.
    fn is_empty(&self, column: usize) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|r| r.get(column).is_none_or(|c| c.text.is_empty()))
    }

    /// The table of the shown columns, and how many columns of a terminal it needs.
    fn drawn(&self, shown: &[usize], colour: bool) -> (comfy_table::Table, u16) {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        if colour {
            table.enforce_styling()
        } else {
            table.force_no_tty()
        };
        let titles = shown.iter().filter_map(|at| self.columns.get(*at)).map(|c| Drawn::new(c.title));
        let mut header = Row::from(titles.collect::<Vec<_>>());
        header.max_height(1);
        table.set_header(header);
        for cells in &self.rows {
            let mut row =
                Row::from(shown.iter().filter_map(|at| cells.get(*at)).map(draw).collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let widths = table.column_max_content_widths();
        let needed = widths.iter().fold(0u16, |sum, w| sum.saturating_add(w.saturating_add(GAP)));
        (table, needed.saturating_sub(GAP))
    }
}

fn draw(cell: &Cell) -> Drawn {
    let drawn = Drawn::new(&cell.text);
    match cell.tone {
        Tone::Plain => drawn,
        Tone::Good => drawn.fg(Color::Green),
        Tone::Warn => drawn.fg(Color::Yellow),
        Tone::Bad => drawn.fg(Color::Red),
        Tone::Faint => drawn.fg(Color::DarkGrey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |title, rank| Column { title, rank };
        let mut table =
            Table::new([column("NAME", 0), column("NOTE", 2), column("NONE", 1), column("STATE", 1)]);
        table.row([Cell::from("coder0"), "a long remark for people".into(), "".into(), "running".into()]);
        table.row([Cell::from("a"), "".into(), "".into(), Cell::toned("dead", Tone::Bad)]);
        table
    }

    #[test]
    fn a_pipe_gets_everything_and_no_colour() {
        insta::assert_snapshot!(table().lines(None, false).join("\n"), @r"
        NAME    NOTE                      NONE  STATE
        coder0  a long remark for people        running
        a                                       dead
        ");
    }

    #[test]
    fn a_narrow_terminal_drops_what_matters_least_and_then_cuts() {
        insta::assert_snapshot!(table().lines(Some(30), false).join("\n"), @r"
        NAME    STATE
        coder0  running
        a       dead
        ");
        insta::assert_snapshot!(table().lines(Some(12), false).join("\n"), @r"
        NAME
        coder0
        a
        ");
        insta::assert_snapshot!(table().lines(Some(4), false).join("\n"), @r"
        N…
        c…
        a
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 0..3 {
            assert!(!table().lines(Some(width), false).is_empty(), "{width}");
        }
        for width in 3..80 {
            for line in table().lines(Some(width), false) {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn colour_stands_only_where_it_is_wanted() {
        assert!(table().lines(None, true).join("\n").contains('\u{1b}'));
        assert!(!table().lines(Some(200), false).join("\n").contains('\u{1b}'));
    }
}
