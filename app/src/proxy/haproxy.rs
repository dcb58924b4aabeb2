//! The words of HAProxy.

use std::fmt::Write;

use contracts::Module;

use super::table::{Route, Table};
use super::{Server, Wanted, headline};

/// Headers that only a proxy or a service may set.
const REMOVED: [&str; 7] = [
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "doorward-caller",
    "doorward-deadline-ms",
];

/// So many paths stand in one line.
const IN_A_LINE: usize = 4;

/// The configuration; whoever says nothing for `silence` seconds is gone.
pub(super) fn configuration(wanted: &Wanted, table: &Table, silence: u32) -> String {
    let mut text = headline("haproxy");
    let certificate = wanted.certificate.as_ref();
    let tls = certificate.map(|file| format!(" ssl crt {file} alpn h2,http/1.1")).unwrap_or_default();
    let _ = write!(
        text,
        "
global
    log stdout format raw local0
    maxconn 4000

defaults
    mode http
    log global
    option httplog
    option dontlognull
    # A connection that was not made is tried again, elsewhere; a request that was sent never is.
    retries 2
    option redispatch 1
    retry-on conn-failure
    # When this file is loaded again, a kept connection is closed with its next answer, and not under its next request.
    option idle-close-on-response
    timeout connect 2s
    timeout queue 5s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout client {silence}s
    timeout server {silence}s

frontend doorward
    bind {}{tls}
",
        wanted.listen
    );
    for name in REMOVED {
        let _ = writeln!(text, "    http-request del-header {name}");
    }
    text.push_str("    http-request set-header X-Forwarded-For %[src]\n");
    if certificate.is_some() {
        text.push_str("    http-request set-header X-Forwarded-Proto https\n");
        text.push_str("    http-response set-header Strict-Transport-Security \"max-age=31536000\"\n");
    }
    for module in Module::ALL {
        let (exact, others): (Vec<&Route>, Vec<&Route>) = table.of(module).partition(|it| it.is_exact());
        let exact: Vec<&str> = exact.iter().map(|route| route.path.as_str()).collect();
        let others: Vec<String> = others.iter().map(|route| route.pattern()).collect();
        for some in exact.chunks(IN_A_LINE) {
            let _ = writeln!(text, "    acl {module} path {}", some.join(" "));
        }
        for some in others.chunks(IN_A_LINE) {
            let _ = writeln!(text, "    acl {module} path_reg {}", some.join(" "));
        }
    }
    for module in Module::ALL {
        let _ = writeln!(text, "    use_backend {module} if {module}");
    }
    text.push_str("    # What every process answers, and what none does.\n    default_backend any\n");
    for module in Module::ALL {
        backend(&mut text, module.as_str(), wanted.of(module), wanted);
    }
    backend(&mut text, "any", wanted.processes().into_iter(), wanted);
    text
}

fn backend<'a>(text: &mut String, name: &str, servers: impl Iterator<Item = &'a Server>, wanted: &Wanted) {
    let ca = wanted.management_ca.as_ref();
    let tls = ca.map(|file| format!(" check-ssl ca-file {file}")).unwrap_or_default();
    // A process closes what is idle for five seconds. HAProxy sees that, but for the moment that the news takes; half of
    // what nobody needs is closed here every two seconds, so that fewer come that far.
    let _ = write!(
        text,
        "
backend {name}
    balance leastconn
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host doorward
    http-check expect status 200
    default-server inter 1s fall 2 rise 1 pool-purge-delay 2s{tls}
"
    );
    for (number, server) in servers.enumerate() {
        let (host, port) = server.management.rsplit_once(':').unwrap_or((&server.management, ""));
        let (number, public) = (number + 1, &server.public);
        let _ = writeln!(text, "    server {name}{number} {public} check addr {host} port {port}");
    }
}
