//! The screen of a simulated machine: the text that its line has shown, on the 80 columns and 25 rows of a PC in text mode.
//! Made when somebody asks for a picture; nothing is kept of it.

use bmc_core::screen::Screenshot;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Characters in a row.
pub const COLUMNS: usize = 80;
/// Rows of characters.
pub const ROWS: usize = 25;

const HEIGHT: RasterHeight = RasterHeight::Size16;
const WEIGHT: FontWeight = FontWeight::Regular;
/// Where a tabulator goes on.
const TABULATOR: usize = 8;
/// What is written brightest, as PCs do: light grey, on black.
const INK: u8 = 0xaa;
/// Rows of pixels that the cursor has at the foot of a character.
const CURSOR: usize = 2;
/// What stands for what the font has not.
const UNKNOWN: char = '?';

/// A screen of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextScreen {
    rows: Vec<Vec<char>>,
    column: usize,
    row: usize,
}

impl TextScreen {
    /// The screen after this was written on an empty one. Of control characters it knows those that the simulator writes.
    pub fn after(written: &[u8]) -> Self {
        let mut screen = Self { rows: vec![vec![' '; COLUMNS]; ROWS], column: 0, row: 0 };
        for character in String::from_utf8_lossy(written).chars() {
            screen.write(character);
        }
        screen
    }

    fn write(&mut self, character: char) {
        match character {
            '\r' => self.column = 0,
            '\n' => self.next_row(),
            '\u{8}' => self.column = self.column.saturating_sub(1),
            '\t' => self.column = ((self.column / TABULATOR + 1) * TABULATOR).min(COLUMNS - 1),
            character if character.is_control() => {}
            character => {
                if self.column == COLUMNS {
                    self.column = 0;
                    self.next_row();
                }
                if let Some(cell) = self.rows.get_mut(self.row).and_then(|row| row.get_mut(self.column)) {
                    *cell = character;
                }
                self.column += 1;
            }
        }
    }

    fn next_row(&mut self) {
        if self.row + 1 < ROWS {
            self.row += 1;
        } else {
            self.rows.rotate_left(1);
            if let Some(last) = self.rows.last_mut() {
                last.fill(' ');
            }
        }
    }

    /// What stands in the rows, without the blanks at their ends.
    pub fn text(&self) -> Vec<String> {
        self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
    }

    /// The screen as a picture.
    pub fn picture(&self) -> Option<Screenshot> {
        let (cell_width, cell_height) = (get_raster_width(WEIGHT, HEIGHT), HEIGHT.val());
        let (width, height) = (COLUMNS * cell_width, ROWS * cell_height);
        let mut light = vec![0_u8; width * height];
        let mut dot = |x: usize, y: usize, value: u8| {
            if let Some(pixel) = light.get_mut(y * width + x) {
                *pixel = value;
            }
        };
        for (row, characters) in self.rows.iter().enumerate() {
            for (column, character) in
                characters.iter().enumerate().filter(|(_, character)| **character != ' ')
            {
                let glyph =
                    get_raster(*character, WEIGHT, HEIGHT).or_else(|| get_raster(UNKNOWN, WEIGHT, HEIGHT));
                for (y, line) in glyph.iter().flat_map(|glyph| glyph.rows().enumerate()) {
                    for (x, value) in line.iter().enumerate() {
                        let shade = u16::from(*value) * u16::from(INK) / u16::from(u8::MAX);
                        dot(column * cell_width + x, row * cell_height + y, shade.to_le_bytes()[0]);
                    }
                }
            }
        }
        for y in cell_height - CURSOR..cell_height {
            for x in 0..cell_width {
                dot(self.column.min(COLUMNS - 1) * cell_width + x, self.row * cell_height + y, INK);
            }
        }
        let rgb = light.into_iter().flat_map(|value| [value; 3]).collect();
        Screenshot::new(u32::try_from(width).ok()?, u32::try_from(height).ok()?, rgb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_where_a_terminal_would_show_it() {
        let screen = TextScreen::after("one\r\ntwx\u{8}o\u{7}\r\n\tx\r\n".as_bytes());
        assert_eq!(screen.text()[..4], ["one", "two", "        x", ""]);
        assert_eq!((screen.row, screen.column), (3, 0));
        let long = TextScreen::after("x".repeat(COLUMNS + 1).as_bytes());
        assert_eq!((long.text()[0].len(), long.text()[1].as_str()), (COLUMNS, "x"));
        let many: String = (0..ROWS + 2).map(|row| format!("{row}\r\n")).collect();
        let scrolled = TextScreen::after(many.as_bytes());
        assert_eq!((scrolled.text()[0].as_str(), scrolled.text()[ROWS - 1].as_str()), ("3", ""));
        TextScreen::after(&[0xff, 0xc3, 0x28, b'\n']);
    }

    #[test]
    fn the_picture_is_dark_but_for_the_text_and_the_cursor() {
        let lit = |text: &str| {
            let picture = TextScreen::after(text.as_bytes()).picture().unwrap();
            assert_eq!(picture.height(), 400);
            picture.rgb().iter().filter(|byte| **byte > 0).count()
        };
        let cursor = lit("");
        assert_eq!(cursor, 3 * CURSOR * get_raster_width(WEIGHT, HEIGHT));
        assert!(lit("i") > cursor && lit("M") > lit("i") && lit("\u{4e2d}") == lit("?"));
    }
}
