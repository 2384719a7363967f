//! Devices.

use serde_json::{Value, json};
use vault_client::DeviceSummary;
use vault_protocol::DeviceId;

use super::{Confirming, SecretText};
use crate::engine::{Called, Engine, failed, read};
use crate::host::Host;

impl<H: Host> Engine<H> {
    pub(super) fn devices(&self) -> Called {
        let devices = self.client.devices_with_gaps().map_err(failed)?;
        Ok(devices.iter().map(document).collect())
    }

    pub(super) fn approve_device(&self, arguments: &str) -> Called {
        let (user_code, check_code, confirm): (String, SecretText, Confirming) = read(arguments)?;
        let given = confirm.given();
        let approved = self.client.approve_code(&user_code, check_code.0.expose(), given.confirm(&self.asks));
        Ok(json!(approved.map_err(failed)?.name))
    }

    pub(super) fn approve_link(&self, arguments: &str) -> Called {
        let (link, confirm): (SecretText, Confirming) = read(arguments)?;
        let given = confirm.given();
        let approved = self.client.approve_link_confirmed(&link.0, given.confirm(&self.asks)).map_err(failed)?;
        Ok(json!(approved.name))
    }

    pub(super) fn rename_device(&self, arguments: &str) -> Called {
        let (device, name): (DeviceId, String) = read(arguments)?;
        self.client.rename_device(device, &name).map_err(failed)?;
        Ok(Value::Null)
    }

    pub(super) fn revoke_device(&self, arguments: &str) -> Called {
        let (device, confirm): (DeviceId, Confirming) = read(arguments)?;
        self.client.revoke_device(device, confirm.given().confirm(&self.asks)).map_err(failed)?;
        Ok(Value::Null)
    }
}

fn document(device: &DeviceSummary) -> Value {
    json!({
        "deviceId": device.device_id, "name": device.name, "enrolledName": device.enrolled_name,
        "capability": device.capability, "state": device.state, "lastSeq": device.last_seq, "issuedAt": device.issued_at,
        "seenAt": device.seen_at, "revokedAt": device.revoked_at, "gaps": device.gaps, "openOrders": device.open_orders,
        "verified": device.verified, "former": device.former,
    })
}
