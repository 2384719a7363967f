//! The account, as this computer knows it, and its enrolment: asked for here, approved where the owner is signed in with two-factor.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use drive_ops::account::{self, HttpClient, explain};
use drive_ops::failure::Kind;
use drive_ops::host;
use qrcode::{Color, EcLevel, QrCode};
use vault_client::{DeviceEnrolment, State};

use crate::app::App;
use crate::failure::{Answer, Code, locked};
use crate::types::{Account, Enrol, EnrolState, Enrolling, Enrolment, Picture};

/// The enrolment that waits for the owner.
#[derive(Default)]
pub(crate) struct Enrolments(Mutex<Option<Waiting>>);

struct Waiting {
    client: HttpClient,
    enrolment: DeviceEnrolment,
    asked: Instant,
}

impl App {
    /// A client of the account that this computer knows.
    pub(crate) fn client(&self, server: Option<&str>) -> Answer<HttpClient> {
        let known = State::new(self.state.clone()).server_address().ok().flatten();
        let named = server.or(self.server.as_deref());
        // What runs here counts only where nothing else is known.
        let server = named.or(if known.is_none() { self.service.as_deref() } else { None });
        Ok(account::client(server, self.state.clone())?)
    }

    pub(crate) fn account(&self) -> Answer<Account> {
        let none = |server| Account { server, email: None, enrolled: false, waiting: 0 };
        let state = State::new(self.state.clone());
        let known = state.server_address().map_err(|error| explain(&error))?;
        let server = self.server.clone().or(known).or_else(|| self.service.clone());
        if server.is_none() {
            return Ok(none(None));
        }
        let client = self.client(None)?;
        let email = client.known_account().map_err(|error| explain(&error))?.map(|known| known.1);
        Ok(Account {
            server,
            email,
            enrolled: client.is_enrolled().map_err(|error| explain(&error))?,
            waiting: state.waiting().map_err(|error| explain(&error))? as u64,
        })
    }

    /// Asks the owner to let this computer save keys.
    pub(crate) fn enrol(&self, asked: &Enrol) -> Answer<Enrolling> {
        let client = self.client(asked.server.as_deref())?;
        let name = match host::name() {
            name if name.is_empty() => "this computer".to_owned(),
            name => name,
        };
        let requested =
            if asked.by_link { client.request_enrolment_by_link(&name) } else { client.request_enrolment(&name) };
        let enrolment = requested.map_err(|error| explain(&error))?;
        let link = enrolment.link().filter(|_| asked.by_link);
        let answer = Enrolling {
            server: self.account()?.server.unwrap_or_default(),
            user_code: enrolment.user_code(),
            check_code: enrolment.check_code().map(|code| code.expose().to_owned()),
            picture: link.as_ref().map(|link| picture(link.expose())).transpose()?,
            link: link.map(|link| link.expose().to_owned()),
        };
        *locked(&self.enrolments.0) = Some(Waiting { client, enrolment, asked: Instant::now() });
        Ok(answer)
    }

    /// Whether the owner has approved it. The service is asked no more often than it wants to be.
    pub(crate) fn enrolment(&self) -> Answer<Enrolment> {
        let state = |state| Ok(Enrolment { state });
        let mut held = locked(&self.enrolments.0);
        let Some(waiting) = held.as_mut() else {
            drop(held);
            return state(if self.account()?.enrolled { EnrolState::Done } else { EnrolState::None });
        };
        let interval = Duration::from_secs(waiting.enrolment.interval_seconds().clamp(1, 30));
        if waiting.asked.elapsed() < interval {
            return state(EnrolState::Waiting);
        }
        waiting.asked = Instant::now();
        match waiting.client.poll_enrolment(&waiting.enrolment) {
            Ok(Some(_)) => {
                *held = None;
                state(EnrolState::Done)
            }
            Ok(None) => state(EnrolState::Waiting),
            Err(error) => {
                let failure = explain(&error);
                // A line that was down for a moment ends nothing.
                if failure.kind != Kind::Unreachable {
                    *held = None;
                }
                Err(failure.into())
            }
        }
    }
}

/// A text as a square that a phone can read.
fn picture(text: &str) -> Answer<Picture> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| Code::Broken)?;
    let bits = code.to_colors().into_iter().map(|colour| u8::from(colour == Color::Dark)).collect();
    Ok(Picture { size: code.width(), bits })
}
