//! Making rotation orders.

use secret::random_bytes;
use vault_protocol::order::RotationOrder;
use vault_protocol::{AccountId, DeviceId, FixedBytes, Millis, OrderId, RecordId, Signed, VERSION};

use crate::{Error, SigningKey};

/// What is to be ordered.
pub struct NewOrder {
    /// Whose key.
    pub account_id: AccountId,
    /// Who is to carry it out.
    pub device_id: DeviceId,
    /// The record that was shown.
    pub record_id: RecordId,
    /// Blind index of the key's identifier.
    pub key_index: FixedBytes<16>,
    /// When it is signed.
    pub issued_at: Millis,
    /// Not to be carried out earlier.
    pub not_before: Millis,
    /// Nor after this.
    pub expires_at: Millis,
}

/// Signs an order with the account's identity key.
///
/// # Errors
/// [`Error::Malformed`], never for these inputs.
pub fn sign(new: &NewOrder, identity: &SigningKey) -> Result<(OrderId, Signed), Error> {
    let mut nonce = [0; 16];
    random_bytes(&mut nonce);
    let order_id = OrderId::new();
    let order = RotationOrder {
        v: VERSION,
        account_id: new.account_id,
        order_id,
        device_id: new.device_id,
        record_id: new.record_id,
        key_index: new.key_index,
        issued_at: new.issued_at,
        not_before: new.not_before,
        expires_at: new.expires_at,
        nonce: FixedBytes(nonce),
    };
    Ok((order_id, identity.sign(RotationOrder::KIND, &order)?))
}
