//! Rotation orders: signed by the owner, carried out by one device, once.

use async_trait::async_trait;
use vault_protocol::OrderId;
use vault_protocol::order::OrderState;

use crate::{AccountId, DeviceId, Error, LinkMaker, Millis, RecordId};

/// One row of `orders`.
#[derive(Debug, Clone)]
pub struct Order {
    /// Chosen by the client that signed it.
    pub id: OrderId,
    /// Whose.
    pub account_id: AccountId,
    /// Who is to carry it out.
    pub device_id: DeviceId,
    /// The record whose key is to be replaced.
    pub record_id: RecordId,
    /// The signed order, as bytes.
    pub body: Vec<u8>,
    /// How far it is.
    pub state: OrderState,
    /// The device's signed report, as bytes.
    pub report: Option<Vec<u8>>,
    /// After this it is over.
    pub expires_at: Millis,
    /// When its state changed last.
    pub at: Millis,
}

/// How far a device got.
#[derive(Debug, Clone)]
pub struct OrderProgress {
    /// Which order.
    pub id: OrderId,
    /// Whose.
    pub account_id: AccountId,
    /// Who says so; it must be the order's device.
    pub device_id: DeviceId,
    /// Where it stands now.
    pub state: OrderState,
    /// The signed report, as bytes.
    pub report: Vec<u8>,
    /// The time now.
    pub now: Millis,
}

/// Rotation orders.
#[async_trait]
pub trait Orders {
    /// Adds an order with its audit entry. Orders of the same record that are too old give way.
    ///
    /// # Errors
    /// Refusals: [`NotFound`](crate::Refusal::NotFound) when the record is not one that this active device of the account
    /// saved; [`OrderOpen`](crate::Refusal::OrderOpen) when the record has an order that is not done;
    /// [`IdTaken`](crate::Refusal::IdTaken).
    async fn add_order(&self, order: &Order, link: LinkMaker<'_>) -> Result<(), Error>;

    /// Orders of an account, newest first, at most `limit`.
    async fn orders(&self, account: AccountId, limit: i64) -> Result<Vec<Order>, Error>;

    /// Orders for a device that are neither done nor too old, oldest first, at most `limit`.
    async fn orders_of_device(
        &self,
        account: AccountId,
        device: DeviceId,
        now: Millis,
        limit: i64,
    ) -> Result<Vec<Order>, Error>;

    /// Moves an order on, with its audit entry: from open to taken, from either to done or failed. The same report again
    /// changes nothing. Tells whether something changed.
    ///
    /// # Errors
    /// Refusal [`OrderOver`](crate::Refusal::OrderOver): not of this device, or it has ended another way.
    async fn move_order(&self, progress: &OrderProgress, link: LinkMaker<'_>) -> Result<bool, Error>;
}
