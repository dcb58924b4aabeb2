//! The words of nginx. It has no health checks of its own: a process counts as gone for two seconds after a connection
//! to it failed.
//!
//! What may be sent a second time, nginx decides by the method: of a request that was sent, it repeats all but POST, LOCK
//! and PATCH. A PUT or DELETE that is done twice may be answered wrongly (404, 412), so these are asked once only, also
//! when no connection could be made: nginx has no word for the difference.

use std::fmt::Write;

use contracts::Module;

use super::table::Table;
use super::{Server, Wanted, headline};

/// The configuration; whoever says nothing for `silence` seconds is gone.
pub(super) fn configuration(wanted: &Wanted, table: &Table, silence: u32) -> String {
    let mut text = headline("nginx");
    text.push_str(
        "
worker_processes auto;
pid doorward-nginx.pid;
error_log stderr;
events { worker_connections 4096; }
http {
    access_log off;
    server_tokens off;
    map_hash_bucket_size 256;

    # Who answers which path; what every process answers, and what none does, goes to any.
    map $uri $doorward {
        default doorward_any;
",
    );
    for module in Module::ALL {
        for route in table.of(module) {
            let path = if route.is_exact() { route.path.clone() } else { format!("~{}", route.pattern()) };
            let _ = writeln!(text, "        \"{path}\" doorward_{module};");
        }
    }
    text.push_str("    }\n\n");
    for module in Module::ALL {
        upstream(&mut text, module.as_str(), wanted.of(module));
    }
    upstream(&mut text, "any", wanted.processes().into_iter());
    let ssl = if wanted.certificate.is_some() { " ssl" } else { "" };
    let _ = write!(text, "    server {{\n        listen {}{ssl};\n", wanted.listen);
    if let (Some(certificate), Some(key)) = (&wanted.certificate, &wanted.certificate_key) {
        let _ = write!(
            text,
            "        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        add_header Strict-Transport-Security \"max-age=31536000\" always;
"
        );
    }
    let _ = write!(
        text,
        "
        client_header_timeout 10s;
        client_body_timeout {silence}s;
        client_max_body_size 2m;
        proxy_http_version 1.1;
        proxy_connect_timeout 2s;
        proxy_read_timeout {silence}s;
        proxy_send_timeout {silence}s;
        # When a connection can't be made or breaks, another process is asked; never with a POST or PATCH that was sent.
        proxy_next_upstream error;
        proxy_next_upstream_tries 2;
        proxy_set_header Host $host;
        proxy_set_header Connection \"\";
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host \"\";
        proxy_set_header X-Real-IP \"\";
        proxy_set_header Forwarded \"\";
        proxy_set_header doorward-caller \"\";
        proxy_set_header doorward-deadline-ms \"\";

        location / {{
            error_page 418 = @once;
            if ($request_method !~ \"^(GET|HEAD|POST|PATCH)$\") {{
                return 418;
            }}
            proxy_pass http://$doorward;
        }}
        # PUT and DELETE, which nginx would repeat when they were sent already.
        location @once {{
            proxy_next_upstream off;
            proxy_pass http://$doorward;
        }}
"
    );
    for route in table.special() {
        let _ = writeln!(text, "        location = {} {{", route.path);
        text.push_str("            proxy_pass http://$doorward;\n");
        if route.streams {
            text.push_str("            proxy_buffering off;\n");
        }
        if route.uploads {
            text.push_str("            proxy_request_buffering off;\n            client_max_body_size 0;\n");
        }
        text.push_str("        }\n");
    }
    text.push_str("    }\n}\n");
    text
}

fn upstream<'a>(text: &mut String, name: &str, servers: impl Iterator<Item = &'a Server>) {
    let _ = writeln!(text, "    upstream doorward_{name} {{\n        least_conn;");
    for server in servers {
        let _ = writeln!(text, "        server {} max_fails=1 fail_timeout=2s;", server.public);
    }
    // A process closes what is idle for five seconds; a request must not meet it there.
    text.push_str("        keepalive 32;\n        keepalive_timeout 4s;\n    }\n");
}
