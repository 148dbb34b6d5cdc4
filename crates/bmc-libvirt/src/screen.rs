//! A picture of a domain's first screen, which libvirt sends through a stream: PNG or PPM, as its driver likes.

use std::io::Cursor;

use bmc_core::error::{BackendError, BackendErrorKind};
use bmc_core::screen::{PIXELS_MAX, Screenshot};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::stream::Stream;

use crate::connection::Failure;
use crate::xml::read;

/// Most bytes of a picture that libvirt sends: one of [`PIXELS_MAX`] pixels without any compression, and its header.
const FILE_MAX_BYTES: usize = PIXELS_MAX as usize * 3 + 1024;
/// What is read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Takes a picture of what runs.
///
/// # Errors
/// `Unsupported` for a domain without a screen; `InvalidState` for one that does not run; libvirt's.
pub(crate) fn take(connect: &Connect, domain: &Domain) -> Result<Screenshot, Failure> {
    let stream = Stream::new(connect, 0)?;
    if let Err(error) = domain.screenshot(&stream, 0, 0) {
        // libvirt's words for a domain without a screen are those for one in a wrong state.
        let headless = !read::has_screen(&domain.xml_desc(0)?)?;
        return Err(if headless {
            BackendError::unsupported(
                "this machine has no screen; add a `<video>` device to its definition (`virsh edit`)",
            )
            .into()
        } else {
            error.into()
        });
    }
    let received = receive(&stream);
    let file = match received {
        Ok(file) => file,
        Err(failure) => {
            // The picture is lost in any case.
            let _ = stream.abort();
            return Err(failure);
        }
    };
    stream.finish()?;
    picture(&file).ok_or_else(|| {
        let message = "libvirt sent a picture of the screen that is neither PNG nor PPM, or is broken";
        BackendError::new(BackendErrorKind::Internal, message).into()
    })
}

fn receive(stream: &Stream) -> Result<Vec<u8>, Failure> {
    let (mut file, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
    loop {
        let received = stream.recv(&mut chunk)?;
        match usize::try_from(received).ok().and_then(|length| chunk.get(..length)) {
            None | Some([]) => return Ok(file),
            Some(bytes) if file.len() + bytes.len() > FILE_MAX_BYTES => {
                let message =
                    format!("libvirt sent a picture of the screen of more than {FILE_MAX_BYTES} bytes");
                return Err(BackendError::new(BackendErrorKind::Internal, message).into());
            }
            Some(bytes) => file.extend_from_slice(bytes),
        }
    }
}

/// The picture in a file.
fn picture(file: &[u8]) -> Option<Screenshot> {
    if file.starts_with(b"P6") { from_ppm(file) } else { from_png(file) }
}

/// A binary portable pixmap with a byte a colour, as QEMU writes it.
fn from_ppm(file: &[u8]) -> Option<Screenshot> {
    let mut rest = file.strip_prefix(b"P6")?;
    let [width, height, brightest] = [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
    let (end, pixels) = rest.split_first()?;
    (brightest == 255 && end.is_ascii_whitespace())
        .then(|| Screenshot::new(width, height, pixels.to_vec()))?
}

/// The next number of a pixmap's header.
fn number(rest: &mut &[u8]) -> Option<u32> {
    loop {
        *rest = rest.trim_ascii_start();
        let Some(comment) = rest.strip_prefix(b"#") else { break };
        let end = comment.iter().position(|byte| *byte == b'\n')?;
        *rest = comment.get(end..)?;
    }
    let length = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn from_png(file: &[u8]) -> Option<Screenshot> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), png::Limits { bytes: FILE_MAX_BYTES });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = (reader.info().width, reader.info().height);
    if u64::from(width) * u64::from(height) > u64::from(PIXELS_MAX) {
        return None;
    }
    let mut bytes = vec![0; reader.output_buffer_size()?];
    let frame = reader.next_frame(&mut bytes).ok()?;
    let bytes = bytes.get(..frame.buffer_size())?;
    let rgb = match frame.color_type {
        png::ColorType::Rgb => bytes.to_vec(),
        png::ColorType::Rgba => {
            bytes.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
        }
        png::ColorType::Grayscale => bytes.iter().flat_map(|grey| [*grey; 3]).collect(),
        png::ColorType::GrayscaleAlpha => bytes.chunks_exact(2).flat_map(|pixel| [pixel[0]; 3]).collect(),
        png::ColorType::Indexed => return None,
    };
    Screenshot::new(width, height, rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_give_the_same_picture() {
        let rgb: Vec<u8> = (0..12).collect();
        let mut ppm = b"P6\n# by hand\n2 2\n255\n".to_vec();
        ppm.extend(&rgb);
        let whole = picture(&ppm).unwrap();
        assert_eq!((whole.width(), whole.height(), whole.rgb()), (2, 2, rgb.as_slice()));
        for (color, pixel) in [(png::ColorType::Rgb, 3), (png::ColorType::Rgba, 4)] {
            let mut file = Vec::new();
            let mut encoder = png::Encoder::new(&mut file, 2, 2);
            encoder.set_color(color);
            let data: Vec<u8> =
                rgb.chunks(3).flat_map(|colours| colours.iter().copied().chain([255]).take(pixel)).collect();
            encoder.write_header().unwrap().write_image_data(&data).unwrap();
            assert_eq!(picture(&file).unwrap(), whole, "{color:?}");
            assert_eq!(picture(&file[..file.len() / 2]), None, "a broken file");
        }
    }

    #[test]
    fn what_is_no_picture_is_none() {
        for file in [
            &b""[..],
            b"P6",
            b"P6\n2 2\n255\n",
            b"P6 2 2 65535\nxxxxxxxxxxxx",
            b"P6 99999999999 1 255\n",
            b"P6 70000 70000 255\n",
            b"P6 # never ends",
            b"GIF89a",
            b"\x89PNG\r\n\x1a\n",
        ] {
            assert_eq!(picture(file), None, "{file:?}");
        }
    }

    #[test]
    fn libvirts_own_test_domain_has_a_screen() {
        let connect = Connect::open(Some("test:///default")).unwrap();
        let domain = connect.lookup_domain_by_name("test").unwrap();
        match take(&connect, &domain) {
            Ok(picture) => assert!(picture.width() > 1 && picture.height() > 1, "{picture:?}"),
            Err(failure) => panic!("{failure:?}"),
        }
    }
}
