//! What a machine shows on its screen, as a picture.

use std::fmt;

/// Most pixels of a picture: a screen of 8K has half as many.
pub const PIXELS_MAX: u32 = 1 << 26;

/// A picture of a screen: rows from the top, three bytes (red, green, blue) a pixel.
#[derive(Clone, PartialEq, Eq)]
pub struct Screenshot {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Screenshot {
    /// A picture of `width` by `height` pixels, at least one and at most [`PIXELS_MAX`]; `None` where `rgb` has not three bytes for each.
    pub fn new(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        let pixels = width.checked_mul(height).filter(|pixels| (1..=PIXELS_MAX).contains(pixels))?;
        (rgb.len() as u64 == u64::from(pixels) * 3).then_some(Self { width, height, rgb })
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

impl fmt::Debug for Screenshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Screenshot({} x {})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_as_many_bytes_as_its_size_says() {
        assert!(Screenshot::new(2, 1, vec![0; 6]).is_some());
        for (width, height, bytes) in
            [(2, 1, 5), (2, 1, 7), (0, 1, 0), (1, 0, 0), (1 << 16, 1 << 16, 0), (PIXELS_MAX + 1, 1, 0)]
        {
            assert_eq!(Screenshot::new(width, height, vec![0; bytes]), None, "{width} x {height}");
        }
    }
}
