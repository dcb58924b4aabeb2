//! The command line of the measuring tool; `./dev bench` and `./dev chaos` build and call it.

use std::path::PathBuf;
use std::process::ExitCode;

use bench::{chaos, floors, growth, load, shapes};
use clap::{Parser, Subcommand};

/// The allocator of the product, so that the bare server has the same.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Doorward beside what this machine can do at best, and torments it.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Throughput and latency beside the floors, in the same minutes
    Load(load::Options),
    /// The same operations on a small and on a large database
    Growth(growth::Options),
    /// The same requests to one process, to replicas and to services
    Shapes(shapes::Options),
    /// Kills it in the middle of its work, again and again, and looks whether anything is missing
    Chaos(chaos::Options),
    /// Restarts replicas one after the other under load, and looks whether a request fails
    Rolling(chaos::Rolling),
    /// Takes the broker away for minutes under load, and looks whether anybody notices
    Outage(chaos::Outage),
    /// Moves a module out of replicas into a service of its own, and back, under load
    Moving {
        /// A file to write the result into, between its marks.
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
    /// Serves a bare JSON answer: the floor
    #[command(hide = true)]
    Bare {
        /// Bytes of the answer.
        #[arg(long)]
        size: usize,
    },
}

fn main() -> ExitCode {
    let well = match Arguments::parse().command {
        Command::Load(options) => {
            load::run(&options);
            true
        }
        Command::Growth(options) => {
            growth::run(&options);
            true
        }
        Command::Shapes(options) => shapes::run(&options),
        Command::Chaos(options) => chaos::run(&options),
        Command::Rolling(options) => options.run(),
        Command::Outage(options) => options.run(),
        Command::Moving { write } => chaos::move_out_and_back(write.as_deref()),
        Command::Bare { size } => floors::serve_bare(size).is_ok(),
    };
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
