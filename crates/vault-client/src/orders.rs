//! Rotation orders: the owner's client signs one when a key was shown; the device checks it and says how far it is.
//!
//! The device keeps a file for each order it accepted (`orders/ORDER.json`), and never begins an order twice.

use serde::{Deserialize, Serialize};
use vault_crypto::order::NewOrder;
use vault_crypto::{VaultRoot, order};
use vault_protocol::limits::ORDER_SECONDS;
use vault_protocol::messages::{OrderList, OrderRequest};
use vault_protocol::order::{OrderReport, OrderState, RotationOrder};
use vault_protocol::{DeviceId, FixedBytes, Millis, OrderId, RecordId, Signed, VERSION, routes, verify};

use crate::client::Owner;
use crate::watch::Device;
use crate::{Client, Error, Transport};

/// Between two rotations of a drive that were ordered.
const DAY: Millis = 24 * 3600 * 1000;

/// How far the owner's clock may be ahead.
const CLOCK_SLACK: Millis = 5 * 60 * 1000;

/// What this device knows of an order.
#[derive(Serialize, Deserialize)]
struct OrderFile {
    state: OrderState,
    /// Good for recognising another order under the same name.
    nonce: FixedBytes<16>,
    /// The drive it was begun on.
    #[serde(default)]
    drive: Option<String>,
    /// What was reported at its end, should that get lost.
    #[serde(default)]
    replaced_by: Option<RecordId>,
    #[serde(default)]
    why: Option<String>,
}

/// What a device makes of an order that it is shown.
pub(crate) enum Judged {
    /// Accepted.
    ToDo(OrderToDo),
    /// It was ended here before.
    Ended(OrderId),
    /// Not accepted, and why.
    Refused(String),
}

/// An order that this device accepts.
#[derive(Debug, Clone)]
pub struct OrderToDo {
    pub(crate) order: RotationOrder,
    /// The drive on which this device has begun it.
    pub begun_on: Option<String>,
}

/// What became of the wish to have a key replaced that was shown.
#[derive(Debug)]
pub enum Ordered {
    /// The computer that saved it was told.
    Yes {
        /// Which order.
        order_id: OrderId,
        /// Which computer.
        device_id: DeviceId,
    },
    /// No computer can do it.
    No {
        /// Why: a word.
        why: &'static str,
    },
    /// The order could not be given.
    Failed(Error),
}

/// An order as its owner sees it.
#[derive(Debug, Clone)]
pub struct OrderSummary {
    /// Which order.
    pub order_id: OrderId,
    /// For which device.
    pub device_id: DeviceId,
    /// Whose key is to be replaced.
    pub record_id: RecordId,
    /// `open`, `taken`, `done`, `failed`.
    pub state: String,
    /// When that changed last.
    pub at: Millis,
    /// Whether the order is signed by the account's identity key.
    pub verified: bool,
}

impl OrderToDo {
    /// Which order.
    #[must_use]
    pub fn id(&self) -> OrderId {
        self.order.order_id
    }

    /// The record that was shown.
    #[must_use]
    pub fn record(&self) -> RecordId {
        self.order.record_id
    }
}

/// Checks an order. What was reported of one that ended before did not get to the service, so it is queued again.
pub(crate) fn judge<T: Transport>(client: &Client<T>, device: &Device, signed: &Signed) -> Result<Judged, Error> {
    let refused = |why: String| Ok(Judged::Refused(why));
    let file = &device.file;
    let statement =
        verify::key_statement(&file.key_statement, file.account_id).map_err(Error::unverified("the key statement"))?;
    let order = match verify::rotation_order(signed, file.account_id, &statement.identity_pk) {
        Ok(order) => order,
        Err(error) => return refused(format!("an order is not signed by the account's identity key: {error}")),
    };
    let id = order.order_id;
    if order.device_id != file.device_id {
        return refused(format!("order {id} is for another device"));
    }
    let now = client.now();
    let longest = Millis::try_from(ORDER_SECONDS).unwrap_or(Millis::MAX).saturating_mul(1000);
    if order.expires_at <= now || order.expires_at.saturating_sub(order.issued_at) > longest {
        return refused(format!("order {id} is too old"));
    }
    if order.not_before > now.saturating_add(CLOCK_SLACK) {
        return refused(format!("order {id} is for later"));
    }
    let known: Option<OrderFile> = client.state.read(&order_name(id))?;
    match known {
        Some(known) if known.nonce != order.nonce => refused(format!("order {id} is another one than before")),
        Some(known) if matches!(known.state, OrderState::Done | OrderState::Failed) => {
            client.queue_order_report(device, id, &known)?;
            Ok(Judged::Ended(id))
        }
        Some(known) => Ok(Judged::ToDo(OrderToDo { order, begun_on: known.drive })),
        None => Ok(Judged::ToDo(OrderToDo { order, begun_on: None })),
    }
}

impl<T: Transport> Client<T> {
    /// Owner: orders the key of a record to be replaced, while the vault is open.
    pub(crate) fn give_order(
        &self,
        owner: &Owner,
        vault: &VaultRoot,
        record: RecordId,
        save: &vault_protocol::record::Save,
    ) -> Ordered {
        let device_id = DeviceId::from(save.author_id);
        if save.author_id == owner.profile.account_id.into() {
            return Ordered::No { why: "imported" };
        }
        let Some(key_index) = save.index.first().map(|entry| entry.full) else {
            return Ordered::No { why: "no_index" };
        };
        let now = self.now();
        let new = NewOrder {
            account_id: owner.profile.account_id,
            device_id,
            record_id: record,
            key_index,
            issued_at: now,
            not_before: now,
            expires_at: now + Millis::try_from(ORDER_SECONDS).unwrap_or(0) * 1000,
        };
        let signed = match order::sign(&new, &vault.identity_key()) {
            Ok(signed) => signed,
            Err(error) => return Ordered::Failed(error.into()),
        };
        let body = OrderRequest { order: signed.1 };
        match self.post::<_, ()>(routes::ORDERS, Some(owner.token()), &body) {
            Ok(()) => Ordered::Yes { order_id: signed.0, device_id },
            Err(error) if error.is(vault_protocol::problem::Code::OrderOpen) => Ordered::No { why: "ordered_before" },
            Err(error) if error.is(vault_protocol::problem::Code::RecordNotFound) => Ordered::No { why: "no_device" },
            Err(error) => Ordered::Failed(error),
        }
    }

    /// Owner: the newest orders.
    ///
    /// # Errors
    /// [`Error`].
    pub fn orders(&self) -> Result<Vec<OrderSummary>, Error> {
        let owner = self.owner()?;
        let list: OrderList = self.get(routes::ORDERS, Some(owner.token()))?;
        let summary = |view: vault_protocol::messages::OrderView| {
            let order =
                verify::rotation_order(&view.order, owner.profile.account_id, &owner.statement.identity_pk).ok();
            let fits = order.is_some_and(|order| {
                order.order_id == view.order_id
                    && order.device_id == view.device_id
                    && order.record_id == view.record_id
            });
            OrderSummary {
                order_id: view.order_id,
                device_id: view.device_id,
                record_id: view.record_id,
                state: OrderState::parse(&view.state).map_or("unknown", OrderState::name).to_owned(),
                at: view.at,
                verified: fits,
            }
        };
        Ok(list.orders.into_iter().map(summary).collect())
    }

    /// Device: whether an order is about the key protector with this identifier.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`].
    pub fn order_is_about(&self, order: &OrderToDo, key_id: &str) -> Result<bool, Error> {
        Ok(self.device()?.index.entry(key_id).full == order.order.key_index)
    }

    /// Device: begins an order on a drive. `false`: the drive was rotated within the last day, so the order waits. An order
    /// that was begun before goes on.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`].
    pub fn begin_order(&self, order: &OrderToDo, drive: &str) -> Result<bool, Error> {
        let _lock = self.state.lock()?;
        if order.begun_on.is_none() {
            let now = self.now();
            let last = self.drive_file(drive)?.rotated_at;
            if last.is_some_and(|last| now - last < DAY && last - now < DAY) {
                return Ok(false);
            }
            self.set_rotated(drive, now)?;
        }
        self.end_order(order, OrderState::Taken, Some(drive.to_owned()), (None, None))?;
        Ok(true)
    }

    /// Device: the key of an order is replaced, and gone from the drive; this record keeps the new one.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`].
    pub fn order_done(&self, order: &OrderToDo, replaced_by: Option<RecordId>) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        self.retire(&self.device()?, order.record(), order.order.key_index)?;
        self.end_order(order, OrderState::Done, order.begun_on.clone(), (replaced_by, None))
    }

    /// Device: an order cannot be carried out. `why` is a word of lower-case letters and `_`.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::State`].
    pub fn order_failed(&self, order: &OrderToDo, why: &str) -> Result<(), Error> {
        let _lock = self.state.lock()?;
        self.end_order(order, OrderState::Failed, order.begun_on.clone(), (None, Some(why.to_owned())))
    }

    /// The file first: what was begun or ended is known, even when the report is lost.
    fn end_order(
        &self,
        order: &OrderToDo,
        state: OrderState,
        drive: Option<String>,
        (replaced_by, why): (Option<RecordId>, Option<String>),
    ) -> Result<(), Error> {
        let device = self.device()?;
        let file = OrderFile { state, nonce: order.order.nonce, drive, replaced_by, why };
        self.state.write(&order_name(order.id()), &file)?;
        self.queue_order_report(&device, order.id(), &file)
    }

    fn queue_order_report(&self, device: &Device, id: OrderId, file: &OrderFile) -> Result<(), Error> {
        let report = OrderReport {
            v: VERSION,
            account_id: device.file.account_id,
            device_id: device.file.device_id,
            order_id: id,
            state: file.state,
            replaced_by: file.replaced_by,
            why: file.why.clone(),
            at: self.now(),
        };
        let signed = device.keys.signing_key().sign(OrderReport::KIND, &report)?;
        let path = routes::with_id(routes::ORDER_REPORT, &id.to_string());
        // `order-` sorts behind nothing that it depends on; of one order the newest report counts.
        self.queue(&format!("order-{id}"), path, signed)
    }
}

fn order_name(id: OrderId) -> String {
    format!("orders/{id}.json")
}
