//! Servers that do nothing but answer, on loopback, to compare a target with what this machine can do at all.

pub(super) mod http;
pub(super) mod udp;

/// `target` divided by `floor`; 0 when the floor itself reached nothing.
pub(super) fn ratio(target: f64, floor: f64) -> f64 {
    if floor > 0.0 { target / floor } else { 0.0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_floor_that_reached_nothing_is_no_division_by_zero() {
        assert_eq!(super::ratio(3.0, 0.0), 0.0);
        assert_eq!(super::ratio(3.0, 4.0), 0.75);
    }
}
