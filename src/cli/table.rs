//! Tables for people: as wide as the terminal, whole and plain in a pipe.

use comfy_table::{Cell as Drawn, Color, ContentArrangement, Row, presets};

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
        if let Some(width) = width {
            shown.retain(|at| !self.is_empty(*at));
            while self.drawn(&shown, colour).1 > width {
                let rank = |at: &usize| self.columns.get(*at).map_or(0, |c| c.rank);
                match shown.iter().copied().max_by_key(rank).filter(|at| rank(at) > 0) {
                    Some(least) => shown.retain(|at| *at != least),
                    None => break,
                }
            }
        }
        let (mut table, needed) = self.drawn(&shown, colour);
        if let Some(width) = width.filter(|w| *w < needed) {
            table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.lines().map(|line| line.trim_end().to_owned()).collect()
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
