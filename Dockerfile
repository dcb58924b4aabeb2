# Doorward as an image: the program, the four libraries of C that it is linked with, one user, one folder to write to.
# No shell, no package manager, nothing else. The authorities of TLS are built into the program.
#
#   docker build --tag doorward .
#   docker build --tag doorward --build-arg PROFILE=release .     # built sooner, a program that is slower and larger
#
# Three layers take time, and each is made anew only when what it is made of changes: the dependencies (Cargo.lock and the
# manifests), then the program. Without a `# syntax=` line: the front end of every BuildKit since 2021 is enough.

# --- The dependencies, from the manifests alone -----------------------------------------------------------------------
# The version is that of rust-toolchain.toml; `./dev containers` compares them.
FROM rust:1.95.0-slim-bookworm AS dependencies
WORKDIR /build
ARG PROFILE=dist
ENV CARGO_INCREMENTAL=0
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY app/Cargo.toml app/
COPY bench/Cargo.toml bench/
COPY contracts/Cargo.toml contracts/
COPY platform/Cargo.toml platform/
COPY testkit/Cargo.toml testkit/
COPY modules/auth/Cargo.toml modules/auth/
COPY modules/notifications/Cargo.toml modules/notifications/
COPY modules/permissions/Cargo.toml modules/permissions/
COPY modules/users/Cargo.toml modules/users/
# Empty sources stand in for ours. What was made of them is forgotten at the end, because cargo goes by the time of a file,
# and the true sources are older.
RUN for crate in bench contracts platform testkit modules/*; do mkdir -p "$crate/src" && : >"$crate/src/lib.rs" || exit 1; done \
    && mkdir -p app/src modules/permissions/benches \
    && for main in app/src/main.rs bench/src/main.rs modules/permissions/benches/decisions.rs; do \
        echo 'fn main() {}' >"$main" || exit 1; \
    done \
    && cargo build --profile "$PROFILE" --locked --package doorward \
    && find . -path ./target -prune -o -name '*.rs' -exec rm {} + \
    && rm -rf "target/$PROFILE"/.fingerprint/doorward*

# --- The program, and the files of an image around it -----------------------------------------------------------------
FROM dependencies AS program
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
COPY . .
# What only tests and measurements use stays empty: a change of theirs builds nothing here.
RUN mkdir -p bench/src testkit/src modules/permissions/benches \
    && touch bench/src/lib.rs bench/src/main.rs testkit/src/lib.rs modules/permissions/benches/decisions.rs \
    && cargo build --profile "$PROFILE" --locked --package doorward
# Names are looked up by the C library itself; it wants to be told where. Its own parts are those that `ldd` names.
WORKDIR /image
RUN cp "/build/target/$PROFILE/doorward" . \
    && ldd doorward | grep -o '/[^ ]*' | xargs cp --dereference --parents --target-directory=. \
    && mkdir etc \
    && echo 'doorward:x:65532:65532:Doorward:/data:/doorward' >etc/passwd \
    && echo 'doorward:x:65532:' >etc/group \
    && echo 'hosts: files dns' >etc/nsswitch.conf \
    && install --directory --mode=0700 /volumes/data

# --- The image --------------------------------------------------------------------------------------------------------
FROM scratch
COPY --from=program /image /
COPY --from=program --chown=65532:65532 /volumes /
# What is not said otherwise is meant for real: it starts once it knows what only its operator knows, and says what that is.
# Nothing is published by itself; keep 9090 inside.
ENV DOORWARD_PROFILE=production \
    DOORWARD__DATA_DIR=/data \
    DOORWARD__SERVER__PUBLIC__ADDRESS=0.0.0.0:8080 \
    DOORWARD__SERVER__MANAGEMENT__ADDRESS=0.0.0.0:9090 \
    DOORWARD__LOG__FORMAT=json
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/doorward", "health"]
ENTRYPOINT ["/doorward"]
