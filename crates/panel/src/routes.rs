//! What there is at which address.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use drive_ops::{edit, files, host};
use fve::{Remaining, Unsuspended};
use secret::SecretString;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::chooser;
use crate::download::{self, disposition};
use crate::drives::{Mounted, id_of};
use crate::failure::{Answer, Code, Refused, locked, off};
use crate::given::{Given, new_password};
use crate::guard;
use crate::pages;
use crate::types::{
    About, Account, AddKeyFile, AskDownload, AskLink, AskSheet, ChoosePath, ConfirmSheet, Convert, Download, Drive,
    Drives, Enrol, Enrolling, Enrolment, Enter, Entered, Files, Folder, Gone, Job, Jobs, KeyFileMade, KeyInHand,
    KeyShown, KeysInHand, NewLink, RemoveProtector, SetPassword, ShowFiles, ShowFolder, TakeKey, Unlock, WithSecret,
};
use crate::views::{View, absolute};

/// Where programs of this account ask for a new link.
pub(crate) const LINK: &str = "/api/link";
/// No request is larger: a key file is the largest thing in one.
const MOST_BYTES: usize = 256 * 1024;

type Panel = State<Arc<App>>;
type Id = Path<String>;

/// A request's body: JSON, and called that, so that no form of another page can be one.
struct Asked<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Asked<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(match rejection.status() {
                StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::MediaType,
                StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
                _ => Code::Invalid,
            }
            .into()),
        }
    }
}

/// Everything the panel answers to.
pub(crate) fn all(app: &Arc<App>) -> Router {
    let with_session = Router::new()
        .route("/api/leave", post(leave))
        .route("/api/about", get(about))
        .route("/api/drives", get(drives))
        .route("/api/images", post(add_image))
        .route("/api/images/{id}", delete(remove_image))
        .route("/api/folder", post(folder))
        .route("/api/drives/{id}", get(drive))
        .route("/api/drives/{id}/unlock", post(unlock))
        .route("/api/drives/{id}/lock", post(lock))
        .route("/api/drives/{id}/files", post(show_files))
        .route("/api/drives/{id}/download", post(ask_download))
        .route("/api/drives/{id}/convert", post(convert))
        .route("/api/drives/{id}/password", post(set_password))
        .route("/api/drives/{id}/key-file", post(add_key_file))
        .route("/api/drives/{id}/remove-protector", post(remove_protector))
        .route("/api/drives/{id}/suspend", post(suspend))
        .route("/api/drives/{id}/unsuspend", post(unsuspend))
        .route("/api/keys", get(keys).post(take_key))
        .route("/api/keys/{id}", delete(drop_key))
        .route("/api/keys/{id}/show", post(show_key))
        .route("/api/keys/{id}/account", post(key_to_account))
        .route("/api/keys/{id}/file", post(key_to_file))
        .route("/api/keys/{id}/sheet", post(key_sheet))
        .route("/api/keys/{id}/confirm", post(confirm_sheet))
        .route("/api/keys/{id}/go", post(go))
        .route("/api/jobs", get(jobs))
        .route("/api/jobs/{id}", delete(forget_job))
        .route("/api/jobs/{id}/pause", post(pause))
        .route("/api/jobs/{id}/resume", post(resume))
        .route("/api/account", get(account))
        .route("/api/account/enrol", get(enrolment).post(enrol))
        .layer(from_fn_with_state(Arc::clone(app), guard::session));
    Router::new()
        .merge(with_session)
        .route("/", get(pages::page))
        .route("/assets/{*path}", get(pages::asset))
        .route("/api/enter", post(enter))
        .route(LINK, post(link))
        .route("/download/{token}", get(download::download))
        .fallback(|| async { Refused::from(Code::NotFound) })
        .method_not_allowed_fallback(|| async { Refused::from(Code::NotFound) })
        .layer(from_fn(no_panic))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .layer(from_fn_with_state(Arc::clone(app), guard::guard))
        .with_state(Arc::clone(app))
}

/// Answers even where something of ours broke.
async fn no_panic(request: Request, next: middleware::Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refused::from(Code::Broken).into_response(),
    }
}

impl App {
    /// A new link. The token stands behind the `#`: browsers send that to nobody.
    pub(crate) fn link(&self) -> SecretString {
        let token = self.door.link(Instant::now());
        SecretString::new(format!("{}/#enter/{}", self.origin, *token))
    }
}

async fn enter(State(app): Panel, Asked(asked): Asked<Enter>) -> Answer<Json<Entered>> {
    let session = app.door.enter(&asked.token.0, Instant::now()).ok_or_else(|| Refused::from(Code::Link))?;
    Ok(Json(Entered { session: session.to_string() }))
}

async fn link(State(app): Panel, Asked(asked): Asked<AskLink>) -> Answer<Json<NewLink>> {
    if !app.door.is_key(&asked.key.0) {
        return Err(Code::Session.into());
    }
    Ok(Json(NewLink { link: app.link().expose().to_owned() }))
}

async fn leave(State(app): Panel, headers: HeaderMap) -> StatusCode {
    if let Some(token) = guard::bearer(&headers)
        && !app.door.leave(&token)
    {
        app.tickets.clear();
        app.lock_all();
    }
    StatusCode::NO_CONTENT
}

async fn about(State(app): Panel) -> Json<About> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Json(About { version, computer: host::name(), service: app.service.clone() })
}

async fn drives(State(app): Panel) -> Answer<Json<Drives>> {
    off(move || Ok(Json(app.list()))).await
}

async fn drive(State(app): Panel, Path(id): Id) -> Answer<Json<Drive>> {
    off(move || app.drive(&id).map(Json)).await
}

async fn add_image(State(app): Panel, Asked(asked): Asked<ChoosePath>) -> Answer<Json<Drives>> {
    off(move || {
        let path = absolute(&asked.path)?;
        // What cannot be opened is told now, and not put into the list.
        drive_ops::disk::open_image(&path)?;
        if locked(&app.images).paths.len() >= crate::keep::MOST_IMAGES {
            return Err(Code::TooMany.into());
        }
        let found = app.of_image(&path, &Mounted::read());
        locked(&app.images).add(&path);
        Ok(Json(Drives { drives: found, not_opened: Vec::new(), trouble: None }))
    })
    .await
}

async fn remove_image(State(app): Panel, Path(id): Id) -> Answer<StatusCode> {
    off(move || {
        let known = locked(&app.images).paths.iter().find(|path| id_of(path) == id).cloned();
        // A partition goes with its image.
        let path = match known {
            Some(path) => path,
            None => drive_ops::disk::image_of(&app.path_of(&id)?),
        };
        if app.jobs.is_busy(&id) {
            return Err(Code::Busy.into());
        }
        app.lock(&id);
        locked(&app.images).remove(&path);
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

async fn folder(Asked(asked): Asked<ShowFolder>) -> Answer<Json<Folder>> {
    off(move || chooser::show(asked.path.as_deref(), asked.hidden).map(Json)).await
}

async fn unlock(State(app): Panel, Path(id): Id, Asked(asked): Asked<Unlock>) -> Answer<Json<Drive>> {
    off(move || {
        let (path, given) = (app.idle_path(&id)?, Given::read(&asked.secret)?);
        let view = View::open(&path, given)?;
        app.lock(&id);
        app.views.add(&id, view);
        app.drive(&id).map(Json)
    })
    .await
}

async fn lock(State(app): Panel, Path(id): Id) -> Answer<Json<Drive>> {
    off(move || {
        app.lock(&id);
        app.drive(&id).map(Json)
    })
    .await
}

async fn show_files(State(app): Panel, Path(id): Id, Asked(asked): Asked<ShowFiles>) -> Answer<Json<Files>> {
    off(move || app.views.get(&id)?.list(&asked.path).map(Json)).await
}

async fn ask_download(State(app): Panel, Path(id): Id, Asked(asked): Asked<AskDownload>) -> Answer<Json<Download>> {
    off(move || download::ask(&app, &id, asked.paths).map(Json)).await
}

async fn convert(State(app): Panel, Path(id): Id, Asked(asked): Asked<Convert>) -> Answer<Json<Job>> {
    off(move || {
        let given = match app.given(&id, asked.secret.as_ref()) {
            Ok(given) => Some(given),
            // The last steps of a decryption need none.
            Err(refused) if asked.secret.is_none() && refused.0.code == "panel.secret_needed" => None,
            Err(refused) => return Err(refused),
        };
        app.convert(&app.idle_path(&id)?, asked.direction, given).map(Json)
    })
    .await
}

/// Changes the keys of a drive.
async fn changed(
    app: Arc<App>,
    id: String,
    secret: Option<crate::types::Secret>,
    change: impl FnOnce(&mut edit::Editing) -> Answer<()> + Send + 'static,
) -> Answer<Json<Drive>> {
    off(move || {
        let (path, given) = (app.idle_path(&id)?, app.given(&id, secret.as_ref())?);
        app.views.without_lock(&id, &path, || {
            let mut editing = edit::open(&path)?.prove(given.material())?;
            change(&mut editing)?;
            Ok(editing.commit()?)
        })?;
        app.drive(&id).map(Json)
    })
    .await
}

async fn set_password(State(app): Panel, Path(id): Id, Asked(asked): Asked<SetPassword>) -> Answer<Json<Drive>> {
    let password = new_password(&asked.password)?;
    let drive = id.clone();
    let shown = Arc::clone(&app);
    let changed = changed(app, id, asked.secret, move |editing| {
        let has_one = editing.editor.protectors().iter().any(|it| it.kind() == fve::ProtectorKind::Password);
        let done =
            if has_one { editing.editor.change_password(&password) } else { editing.editor.add_password(&password) };
        Ok(editing.explained(done.map(drop))?)
    })
    .await?;
    // What opened it may be the password that is gone.
    if shown.views.given(&drive).is_some_and(|given| given.recovery_password().is_none()) {
        shown.lock(&drive);
    }
    Ok(changed)
}

async fn suspend(State(app): Panel, Path(id): Id, Asked(asked): Asked<WithSecret>) -> Answer<Json<Drive>> {
    changed(app, id, asked.secret, |editing| {
        let done = editing.editor.suspend().map(drop);
        Ok(editing.explained(done)?)
    })
    .await
}

async fn unsuspend(State(app): Panel, Path(id): Id, Asked(_): Asked<WithSecret>) -> Answer<Json<Drive>> {
    // A suspended drive opens without a key, and is protected again in the same way.
    changed(app, id, Some(crate::types::Secret::None), |editing| {
        let done: Result<Unsuspended, _> = editing.editor.unsuspend();
        Ok(editing.explained(done.map(drop))?)
    })
    .await
}

async fn remove_protector(
    State(app): Panel,
    Path(id): Id,
    Asked(asked): Asked<RemoveProtector>,
) -> Answer<Json<Drive>> {
    changed(app, id, asked.secret, move |editing| {
        let found = editing.find(&asked.identifier)?;
        let done = editing.editor.remove(found.identifier, Remaining::PersonsKey);
        Ok(editing.explained(done)?)
    })
    .await
}

async fn add_key_file(State(app): Panel, Path(id): Id, Asked(asked): Asked<AddKeyFile>) -> Answer<Json<KeyFileMade>> {
    off(move || {
        let (path, given) = (app.idle_path(&id)?, app.given(&id, asked.secret.as_ref())?);
        let folder = absolute(&asked.folder)?;
        let file = app.views.without_lock(&id, &path, || {
            let mut editing = edit::open(&path)?.prove(given.material())?;
            let added = editing.editor.add_external_key();
            let key = editing.explained(added)?;
            let file: PathBuf = folder.join(key.file_name());
            drive_ops::backup::refuse_on_drive(&path, &file)?;
            let bytes = key.encode().map_err(|_| Code::Broken)?;
            files::write_new_private(&file, &bytes)?;
            editing.commit_with(Some(&file))?;
            Ok(file)
        })?;
        Ok(Json(KeyFileMade { path: file.display().to_string(), drive: app.drive(&id)? }))
    })
    .await
}

async fn keys(State(app): Panel) -> Answer<Json<KeysInHand>> {
    off(move || Ok(Json(KeysInHand { keys: app.hands.list() }))).await
}

async fn take_key(State(app): Panel, Asked(asked): Asked<TakeKey>) -> Answer<Json<KeyInHand>> {
    off(move || app.take_key(&asked).map(Json)).await
}

async fn drop_key(State(app): Panel, Path(id): Id) -> Answer<StatusCode> {
    off(move || app.hands.drop_key(&id).map(|()| StatusCode::NO_CONTENT)).await
}

async fn show_key(State(app): Panel, Path(id): Id) -> Answer<Json<KeyShown>> {
    off(move || Ok(Json(KeyShown { digits: app.hands.show(&id)?.expose().to_owned() }))).await
}

async fn key_to_account(State(app): Panel, Path(id): Id) -> Answer<Json<KeyInHand>> {
    off(move || app.save_to_account(&id).map(Json)).await
}

async fn key_to_file(State(app): Panel, Path(id): Id, Asked(asked): Asked<ChoosePath>) -> Answer<Json<KeyInHand>> {
    off(move || app.hands.save_to_file(&id, &absolute(&asked.path)?).map(Json)).await
}

async fn key_sheet(State(app): Panel, Path(id): Id, Asked(asked): Asked<AskSheet>) -> Answer<Response> {
    let pdf = off(move || app.hands.sheet(&id, asked.paper)).await?;
    let mut response = Response::new(Body::from(pdf.to_vec()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    headers.insert(header::CONTENT_DISPOSITION, disposition("recovery-key.pdf"));
    Ok(response)
}

async fn confirm_sheet(State(app): Panel, Path(id): Id, Asked(asked): Asked<ConfirmSheet>) -> Answer<Json<KeyInHand>> {
    off(move || app.hands.confirm_sheet(&id, &asked.last_group).map(Json)).await
}

async fn go(State(app): Panel, Path(id): Id) -> Answer<Json<Gone>> {
    off(move || app.go(&id).map(Json)).await
}

async fn jobs(State(app): Panel) -> Json<Jobs> {
    Json(Jobs { jobs: app.jobs.list() })
}

async fn forget_job(State(app): Panel, Path(id): Id) -> Answer<StatusCode> {
    app.jobs.forget(&id).map(|()| StatusCode::NO_CONTENT)
}

async fn pause(State(app): Panel, Path(id): Id) -> Answer<Json<Job>> {
    app.jobs.pause(&id).map(Json)
}

async fn resume(State(app): Panel, Path(id): Id) -> Answer<Json<Job>> {
    off(move || {
        let (path, direction, given) = app.jobs.to_resume(&id)?;
        app.convert(&path, direction, given).map(Json)
    })
    .await
}

async fn account(State(app): Panel) -> Answer<Json<Account>> {
    off(move || app.account().map(Json)).await
}

async fn enrol(State(app): Panel, Asked(asked): Asked<Enrol>) -> Answer<Json<Enrolling>> {
    off(move || app.enrol(&asked).map(Json)).await
}

async fn enrolment(State(app): Panel) -> Answer<Json<Enrolment>> {
    off(move || app.enrolment().map(Json)).await
}
