//! Notifications move out of running replicas into a service of their own, and back, as docs/operations.md tells: under
//! load, with no request that fails, no event lost or doubled, no mail that comes twice.

use std::path::PathBuf;

use bench::chaos::take_out;

use crate::plan::installed;

#[test]
fn nobody_notices_that_a_module_moves_into_a_service_of_its_own_and_back() {
    for service in ["POSTGRES", "REDIS", "RABBITMQ"] {
        let name = format!("DOORWARD_TEST_{service}_URL");
        if std::env::var_os(&name).is_none() {
            let required = std::env::var(format!("DOORWARD_TEST_REQUIRE_{service}"));
            assert!(
                required.as_deref() != Ok("1"),
                "{name} is not set, and DOORWARD_TEST_REQUIRE_{service} is 1"
            );
            eprintln!("skipped: {name} is not set, so there may be no such server");
            return;
        }
    }
    if installed("haproxy") {
        let found = take_out(Some(PathBuf::from(env!("CARGO_BIN_EXE_doorward")))).unwrap();
        eprintln!("{}", found.text);
        assert_eq!(found.violations, Vec::<String>::new());
        assert!(found.acknowledged > 100, "{}", found.text);
    }
}
