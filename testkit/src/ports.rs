//! Ports that nobody listens on and that the system gives to nobody meanwhile: below those of outgoing connections.

use std::net::TcpListener;

/// A free port whose next ones are free as well, so many together.
#[must_use]
pub fn free(together: u16) -> u16 {
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let seed = contracts::EventId::new().uuid().as_u128();
    let tries = (0..1_000_u128).map(|at| 20_000 + ((seed >> 3).wrapping_add(at * 7) % 12_000));
    let mut ports = tries.filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| (*port..port + together).all(is_free)).expect("a free port")
}
