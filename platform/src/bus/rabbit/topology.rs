//! What must be at the broker: a topic exchange for all events, a queue for each subscriber there is, and a place for
//! dead letters.
//!
//! Every process declares the queues of all subscribers, wherever those run: so an event finds the queue of a subscriber
//! that has not started yet, and what nobody in this version hears is known to be for nobody. It is declared again and
//! again, so that what somebody deleted comes back.

use std::collections::BTreeSet;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{ErrorKind, ExchangeKind};

use super::wire::{Wire, short};
use super::{Settings, Subscription};

/// The broker's reply when a queue is there already and was made differently (AMQP 0-9-1 section 1.2).
const PRECONDITION_FAILED: u16 = 406;

/// Names and bindings.
pub(super) struct Topology {
    prefix: String,
    delivery_limit: u16,
    subscriptions: Vec<Subscription>,
    heard: BTreeSet<&'static str>,
}

/// How many messages of each queue are given to nobody yet.
pub(super) struct Queues {
    pub(super) subscribers: Vec<(&'static str, u32)>,
    pub(super) dead_letters: u32,
}

impl Topology {
    pub(super) fn new(settings: &Settings, subscriptions: Vec<Subscription>) -> Self {
        Self {
            prefix: settings.prefix.clone(),
            delivery_limit: settings.delivery_limit,
            heard: subscriptions.iter().flat_map(|one| one.hears).copied().collect(),
            subscriptions,
        }
    }

    /// Where events are published; the routing key is their type.
    pub(super) fn exchange(&self) -> String {
        format!("{}.events", self.prefix)
    }

    /// A subscriber's queue.
    pub(super) fn queue(&self, subscriber: &str) -> String {
        format!("{}.{subscriber}", self.prefix)
    }

    /// Where dead letters go: a queue, and an exchange of the same name in front of it.
    fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    /// Whether anybody hears events of this type. What nobody hears is published for listeners of other houses.
    pub(super) fn is_heard(&self, event_type: &str) -> bool {
        self.heard.contains(event_type)
    }

    /// Makes what is missing, and tells what waits.
    pub(super) async fn declare(&self, wire: &Wire) -> lapin::Result<Queues> {
        let channel = wire.channel().await?;
        let (exchange, dead) = (short(self.exchange())?, short(self.dead())?);
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel
            .exchange_declare(exchange.clone(), ExchangeKind::Topic, durable, FieldTable::default())
            .await?;
        channel.exchange_declare(dead.clone(), ExchangeKind::Fanout, durable, FieldTable::default()).await?;
        let dead_letters = self.queue_declared(wire, &self.dead(), quorum()).await?;
        let (bind, none) = (QueueBindOptions::default(), FieldTable::default);
        channel.queue_bind(dead.clone(), dead.clone(), short("")?, bind, none()).await?;
        let mut subscribers = Vec::with_capacity(self.subscriptions.len());
        for one in &self.subscriptions {
            let name = self.queue(one.name);
            subscribers.push((one.name, self.queue_declared(wire, &name, self.arguments()).await?));
            for event_type in one.hears {
                let (queue, key) = (short(name.clone())?, short(*event_type)?);
                channel.queue_bind(queue, exchange.clone(), key, bind, none()).await?;
            }
        }
        channel.close(200, short("OK")?).await?;
        Ok(Queues { subscribers, dead_letters })
    }

    /// Makes a queue, on a channel of its own, because a refusal ends the channel. One that was made with other
    /// arguments, such as another delivery limit, is used as it is: only deleting it could change them.
    async fn queue_declared(&self, wire: &Wire, name: &str, arguments: FieldTable) -> lapin::Result<u32> {
        let channel = wire.channel().await?;
        let declared = channel.queue_declare(short(name)?, QueueDeclareOptions::durable(), arguments).await;
        match declared {
            Ok(queue) => {
                channel.close(200, short("OK")?).await?;
                Ok(queue.message_count())
            }
            Err(error) if made_otherwise(&error) => {
                tracing::debug!(queue = name, "A queue was made with other arguments and is used as it is.");
                let channel = wire.channel().await?;
                let passive = QueueDeclareOptions::durable().passive();
                let queue = channel.queue_declare(short(name)?, passive, FieldTable::default()).await?;
                channel.close(200, short("OK")?).await?;
                Ok(queue.message_count())
            }
            Err(error) => Err(error),
        }
    }

    /// A subscriber's queue: replicated, and what it gives up goes to the dead letters at least once, which RabbitMQ only
    /// does for queues that refuse rather than drop.
    fn arguments(&self) -> FieldTable {
        let mut arguments = quorum();
        let limit = AMQPValue::LongLongInt(i64::from(self.delivery_limit));
        arguments.insert("x-delivery-limit".into(), limit);
        arguments.insert("x-dead-letter-exchange".into(), text(&self.dead()));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments
    }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

fn made_otherwise(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == PRECONDITION_FAILED)
}
