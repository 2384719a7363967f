//! Work that takes long. It belongs to the process: closing the page does not end it, and the page finds it again.
//!
//! There is never more than one on a drive. What opens the drive is kept as long as the work can go on, so that a pause costs nobody
//! a second typing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use data_encoding::HEXLOWER;
use drive_ops::convert::{self, stopped};
use drive_ops::drive::Disk;
use drive_ops::failure::Failure;
use drive_ops::host;
use fve::convert::{Converter, Direction as Way, Outcome as End};
use secret::SecretBytes;

use crate::app::App;
use crate::drives::id_of;
use crate::failure::{Answer, Code, Refused, locked};
use crate::given::Given;
use crate::types::{Direction, Job, JobKind, JobState};

/// Ended work that is still told of.
const MOST_ENDED: usize = 32;

/// How work ended without failing.
pub(crate) enum Ended {
    Done,
    Paused,
}

/// What a piece of work tells while it goes on.
pub(crate) struct Work {
    stop: AtomicBool,
    told: Mutex<Job>,
    /// When it began, and how much was done then.
    began: Mutex<Option<(Instant, u64)>>,
    given: Option<Arc<Given>>,
    path: PathBuf,
}

impl Work {
    /// Tells how far it is.
    pub(crate) fn progress(&self, done: u64, total: u64) {
        let mut began = locked(&self.began);
        let (start, first) = *began.get_or_insert((Instant::now(), done));
        drop(began);
        let mut told = locked(&self.told);
        (told.done_bytes, told.total_bytes) = (done, total);
        let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if millis >= 500 {
            let speed = u128::from(done.saturating_sub(first)) * 1000 / u128::from(millis.max(1));
            let speed = u64::try_from(speed).unwrap_or(u64::MAX);
            told.bytes_per_second = Some(speed);
            told.seconds_left = total.saturating_sub(done).checked_div(speed);
        }
    }

    fn told(&self) -> Job {
        locked(&self.told).clone()
    }

    fn is_active(&self) -> bool {
        matches!(locked(&self.told).state, JobState::Running | JobState::Stopping)
    }

    fn end(&self, ended: Answer<Ended>) {
        let mut told = locked(&self.told);
        told.state = match ended {
            Ok(Ended::Done) => {
                told.done_bytes = told.total_bytes;
                JobState::Done
            }
            Ok(Ended::Paused) => JobState::Paused,
            Err(refused) => {
                told.problem = Some(*refused.0);
                JobState::Failed
            }
        };
        told.ended_ms = Some(now_ms());
        told.can_pause = false;
        (told.bytes_per_second, told.seconds_left) = (None, None);
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// All work.
#[derive(Default)]
pub(crate) struct Jobs {
    all: Mutex<Vec<Arc<Work>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Jobs {
    /// Newest first.
    pub(crate) fn list(&self) -> Vec<Job> {
        locked(&self.all).iter().rev().map(|work| work.told()).collect()
    }

    /// The work that is done on a drive, or that was paused.
    pub(crate) fn of_drive(&self, drive: &str) -> Option<String> {
        let all = locked(&self.all);
        let found = all.iter().rev().map(|work| work.told()).find(|job| job.drive == drive)?;
        matches!(found.state, JobState::Running | JobState::Stopping | JobState::Paused).then_some(found.id)
    }

    pub(crate) fn is_busy(&self, drive: &str) -> bool {
        locked(&self.all).iter().any(|work| work.is_active() && locked(&work.told).drive == drive)
    }

    fn get(&self, id: &str) -> Answer<Arc<Work>> {
        let found = locked(&self.all).iter().find(|work| locked(&work.told).id == id).cloned();
        found.ok_or_else(|| Code::NotFound.into())
    }

    /// Begins work on a drive that has none.
    pub(crate) fn start(
        &self,
        kind: JobKind,
        path: &Path,
        given: Option<Arc<Given>>,
        act: impl FnOnce(&Work) -> Answer<Ended> + Send + 'static,
    ) -> Answer<Job> {
        let drive = id_of(path);
        let converts = kind != JobKind::Create;
        let job = Job {
            id: HEXLOWER.encode(SecretBytes::<8>::random().expose()),
            kind,
            state: JobState::Running,
            drive: drive.clone(),
            drive_name: path.display().to_string(),
            done_bytes: 0,
            total_bytes: 0,
            bytes_per_second: None,
            seconds_left: None,
            started_ms: now_ms(),
            ended_ms: None,
            can_pause: converts,
            can_turn_round: converts,
            problem: None,
        };
        let work = Arc::new(Work {
            stop: AtomicBool::new(false),
            told: Mutex::new(job.clone()),
            began: Mutex::new(None),
            given,
            path: path.to_owned(),
        });
        let mut all = locked(&self.all);
        if all.iter().any(|other| other.is_active() && locked(&other.told).drive == drive) {
            return Err(Code::Busy.into());
        }
        // What was paused goes on in this one.
        all.retain(|other| locked(&other.told).drive != drive);
        while all.len() >= MOST_ENDED {
            let Some(oldest) = all.iter().position(|other| !other.is_active()) else {
                return Err(Code::TooMany.into());
            };
            all.remove(oldest);
        }
        all.push(Arc::clone(&work));
        drop(all);
        let thread = std::thread::spawn(move || {
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&work)));
            work.end(ended.unwrap_or_else(|_| Err(Code::Broken.into())));
        });
        let mut threads = locked(&self.threads);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        Ok(job)
    }

    /// Asks work to pause. It ends its present batch first.
    pub(crate) fn pause(&self, id: &str) -> Answer<Job> {
        let work = self.get(id)?;
        let mut told = locked(&work.told);
        if !told.can_pause || told.state != JobState::Running {
            return Err(Code::WrongState.into());
        }
        told.state = JobState::Stopping;
        work.stop.store(true, Ordering::Relaxed);
        Ok(told.clone())
    }

    /// Forgets work that ended.
    pub(crate) fn forget(&self, id: &str) -> Answer<()> {
        let work = self.get(id)?;
        if work.is_active() {
            return Err(Code::WrongState.into());
        }
        locked(&self.all).retain(|other| !Arc::ptr_eq(other, &work));
        Ok(())
    }

    /// Drive, direction and key of work that was paused or failed.
    pub(crate) fn to_resume(&self, id: &str) -> Answer<(PathBuf, Direction, Option<Arc<Given>>)> {
        let work = self.get(id)?;
        let told = work.told();
        let direction = match (told.kind, told.state) {
            (JobKind::Encrypt, JobState::Paused | JobState::Failed) => Direction::Encrypt,
            (JobKind::Decrypt, JobState::Paused | JobState::Failed) => Direction::Decrypt,
            _ => return Err(Code::WrongState.into()),
        };
        Ok((work.path.clone(), direction, work.given.clone()))
    }

    /// The key that work on a drive was given.
    pub(crate) fn given(&self, drive: &str) -> Option<Arc<Given>> {
        let all = locked(&self.all);
        all.iter().rev().find(|work| locked(&work.told).drive == drive).and_then(|work| work.given.clone())
    }

    /// Asks everything that can pause to do so.
    pub(crate) fn pause_all(&self) {
        for work in locked(&self.all).iter() {
            if locked(&work.told).can_pause {
                work.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    pub(crate) fn wait_for_all(&self) {
        let threads = std::mem::take(&mut *locked(&self.threads));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// Runs a converter to its end, or until it is asked to pause.
pub(crate) fn run(work: &Work, path: &Path, converter: Converter<Disk>, direction: Direction) -> Answer<Ended> {
    let way = way(direction);
    let told = |progress: fve::convert::ConversionProgress| {
        let progress = fve::convert::ConversionProgress { direction: way, ..progress };
        work.progress(progress.done_bytes(), progress.total_bytes);
    };
    told(converter.progress());
    let ended = converter.with_workers(host::workers()).run(way, &mut |progress| told(progress), &work.stop);
    match ended.map_err(|error| stopped(path, &error))? {
        End::Finished => Ok(Ended::Done),
        End::Paused => Ok(Ended::Paused),
    }
}

fn way(direction: Direction) -> Way {
    if direction == Direction::Encrypt { Way::Encrypt } else { Way::Decrypt }
}

impl App {
    /// Begins to decrypt a drive, or goes on with a conversion in either direction.
    pub(crate) fn convert(&self, path: &Path, direction: Direction, given: Option<Arc<Given>>) -> Answer<Job> {
        let id = id_of(path);
        if self.jobs.is_busy(&id) {
            return Err(Code::Busy.into());
        }
        // Our own readers make room; a download that goes on does not, and is named as what is in the way.
        self.lock(&id);
        let held = convert::hold(path)?;
        let volume = convert::open(path)?;
        let given = if volume.is_decrypted() { Some(Given::clear()) } else { given };
        let given = given.ok_or_else(|| Refused::from(Code::SecretNeeded))?;
        let under_way = volume.in_place_conversion();
        let converter = match (&under_way, direction) {
            (Some(_), _) if volume.is_decrypted() => Converter::resume(volume, None),
            (Some(_), _) => Converter::resume(volume, Some(given.material())),
            (None, Direction::Decrypt) => Ok(convert::begin_decrypting(path, volume, given.material())?),
            (None, Direction::Encrypt) => {
                return Err(Failure::no("no conversion of this drive is under way").into());
            }
        };
        let converter = converter.map_err(|error| convert::explain(path, &error))?;
        let kind = if direction == Direction::Encrypt { JobKind::Encrypt } else { JobKind::Decrypt };
        let place = path.to_owned();
        self.jobs.start(kind, path, Some(given), move |work| {
            let ended = run(work, &place, converter, direction);
            drop(held);
            ended
        })
    }
}
