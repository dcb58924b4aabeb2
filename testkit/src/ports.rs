//! Ports that nobody listens on and that nobody else is given meanwhile: below those that the system takes for outgoing
//! connections, and reserved for the test that asked until its process ends.

use std::fs::File;
use std::net::TcpListener;
use std::sync::Mutex;

/// What this process has reserved. The system gives it back when the process ends, however that happens.
static RESERVED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A free port whose next ones are free as well, so many together. Each is reserved for this process.
///
/// # Panics
///
/// If none is found.
#[must_use]
pub fn free(together: u16) -> u16 {
    let seed = contracts::EventId::new().uuid().as_u128();
    let tries = (0..1_000_u128).map(|at| 20_000 + ((seed >> 3).wrapping_add(at * 7) % 12_000));
    let mut ports = tries.filter_map(|port| u16::try_from(port).ok());
    ports.find(|port| reserve(*port..port + together)).expect("a free port")
}

/// Reserves all of them or none.
fn reserve(ports: std::ops::Range<u16>) -> bool {
    let folder = std::env::temp_dir().join("doorward-test-ports");
    std::fs::create_dir_all(&folder).expect("a folder for the locks");
    let lock = |port: u16| {
        let file = File::options().create(true).append(true).open(folder.join(port.to_string())).ok()?;
        file.try_lock().ok()?;
        TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(file)
    };
    let Some(locks) = ports.map(lock).collect::<Option<Vec<_>>>() else { return false };
    RESERVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(locks);
    true
}

#[cfg(test)]
mod tests {
    use super::free;

    #[test]
    fn nobody_is_given_a_port_twice() {
        let mut given: Vec<u16> = (0..500).map(|_| free(2)).flat_map(|port| [port, port + 1]).collect();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), 1_000);
    }
}
