//! The files of recordings: in the folder they are written to, and in the object store they are uploaded to.

mod upload;

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, RetryConfig};
use opentact_store::records::Record;
use tokio::runtime::Handle;
use url::Url;

/// Connecting to the object store.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One request to it, of which none carries more than a part of an upload.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

/// Where recordings go.
#[derive(Debug, Clone)]
pub struct RecordingsConfig {
    /// Written to here, one folder an account.
    pub folder: PathBuf,
    pub upload: Option<UploadConfig>,
}

/// The object store.
#[derive(Debug, Clone)]
pub struct UploadConfig {
    /// `file:///FOLDER` or `s3://BUCKET/PREFIX`.
    pub url: Url,
    pub s3: S3Config,
    /// Whether the file also stays in the folder once it is uploaded.
    pub keep_local: bool,
    /// Uploads at once.
    pub parallel: usize,
    /// How long a recording is tried to be uploaded.
    pub give_up: Duration,
}

/// How the server of `s3://` is spoken with.
#[derive(Clone, Default)]
pub struct S3Config {
    /// `http://` or `https://` of a server of one's own; `None`: that of AWS in the region.
    pub endpoint: Option<String>,
    pub region: String,
    pub access_key: Option<String>,
    pub secret_key: Option<String>,
}

impl std::fmt::Debug for S3Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { endpoint, region, access_key, .. } = self;
        f.debug_struct("S3Config")
            .field("endpoint", endpoint)
            .field("region", region)
            .field("access_key", access_key)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Neither here nor there.
    #[error("the file is gone")]
    Gone,
    #[error("file of the recording: {0}")]
    File(#[from] std::io::Error),
    /// It cannot be reached or refuses.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
    #[error("object store: {0}")]
    Url(String),
}

/// Where a recording can be read.
pub enum Source {
    File(PathBuf),
    /// In the object store; see [`Archive::read`].
    Object,
}

/// The files of recordings. Cheap to share.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    remote: Option<Remote>,
}

#[derive(Debug)]
struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    config: UploadConfig,
}

impl Archive {
    /// # Errors
    /// The URL of the object store is none, or its folder cannot be made.
    pub fn open(config: RecordingsConfig) -> Result<Archive, ArchiveError> {
        let remote = config.upload.map(Remote::open).transpose()?;
        Ok(Archive { folder: config.folder, remote })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether recordings are uploaded.
    pub(crate) fn uploads(&self) -> bool {
        self.remote.is_some()
    }

    /// # Errors
    /// [`ArchiveError::Gone`].
    pub async fn find(&self, record: &Record) -> Result<Source, ArchiveError> {
        let path = path(&self.folder, record);
        if tokio::fs::try_exists(&path).await.unwrap_or(false) {
            return Ok(Source::File(path));
        }
        match (&self.remote, record.uploaded_on) {
            (Some(_), Some(_)) => Ok(Source::Object),
            _ => Err(ArchiveError::Gone),
        }
    }

    /// All of a recording, from where it is.
    ///
    /// # Errors
    /// [`ArchiveError::Gone`]; the file's or the store's.
    pub(crate) async fn audio(&self, record: &Record) -> Result<Box<dyn Read + Send>, ArchiveError> {
        match self.find(record).await? {
            Source::File(path) => Ok(Box::new(std::fs::File::open(path)?)),
            Source::Object => {
                let whole = 0..u64::try_from(record.size).unwrap_or(0);
                let stream = self.read(record, whole).await?;
                Ok(Box::new(Coming { stream, piece: Bytes::new(), runtime: Handle::current() }))
            }
        }
    }

    /// Octets of a recording in the object store, as they come.
    ///
    /// # Errors
    /// The store's, also as the last item of the stream.
    pub async fn read(
        &self,
        record: &Record,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, object_store::Result<Bytes>>, ArchiveError> {
        let remote = self.remote.as_ref().ok_or(ArchiveError::Gone)?;
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        match remote.store.get_opts(&remote.path(record), options).await {
            Ok(found) => Ok(found.into_stream()),
            Err(object_store::Error::NotFound { .. }) => Err(ArchiveError::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the file, here and there. None is there afterwards; what is not there already is no fault.
    ///
    /// # Errors
    /// The file system's or the store's.
    pub async fn delete(&self, record: &Record) -> Result<(), ArchiveError> {
        if let Some(remote) = &self.remote {
            remote.delete(record).await?;
        }
        remove(&path(&self.folder, record)).await?;
        Ok(())
    }
}

/// What comes of the object store, for who reads in a thread that may wait.
struct Coming {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    /// What is left of the last piece.
    piece: Bytes,
    runtime: Handle,
}

impl Read for Coming {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(piece) => self.piece = piece.map_err(std::io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.split_to(length).copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Remote {
    fn open(config: UploadConfig) -> Result<Remote, ArchiveError> {
        let url = &config.url;
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match (url.scheme(), url.host_str()) {
            ("file", None) => {
                let folder = url.to_file_path().map_err(|()| ArchiveError::Url(format!("{url} is no folder")))?;
                std::fs::create_dir_all(&folder)?;
                (Arc::new(LocalFileSystem::new_with_prefix(folder)?), ObjectPath::default())
            }
            ("s3", Some(bucket)) => {
                let store = config.s3.open(bucket)?;
                let prefix = ObjectPath::from_url_path(url.path()).map_err(object_store::Error::from)?;
                (Arc::new(store), prefix)
            }
            _ => return Err(ArchiveError::Url(format!("{url} is neither file:///FOLDER nor s3://BUCKET"))),
        };
        Ok(Remote { store, prefix, config })
    }

    fn path(&self, record: &Record) -> ObjectPath {
        self.prefix.clone().join(record.account.to_string()).join(file_name(record))
    }

    async fn delete(&self, record: &Record) -> Result<(), ArchiveError> {
        match self.store.delete(&self.path(record)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl S3Config {
    fn open(&self, bucket: &str) -> object_store::Result<object_store::aws::AmazonS3> {
        let plain = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let client = ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            .with_content_type_for_suffix("wav", "audio/wav")
            .with_content_type_for_suffix("mp3", "audio/mpeg");
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(&self.region)
            .with_client_options(client)
            // One at a time is deleted, which every server of the kind can.
            .with_disable_bulk_delete(true)
            // How often and when is said here, not there.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        // Without them: of the machine's role (AWS instance metadata).
        if let (Some(access), Some(secret)) = (&self.access_key, &self.secret_key) {
            builder = builder.with_access_key_id(access).with_secret_access_key(secret);
        }
        builder.build()
    }
}

/// The file of a recording within `folder`; one folder an account.
pub(crate) fn path(folder: &Path, record: &Record) -> PathBuf {
    folder.join(record.account.to_string()).join(file_name(record))
}

fn file_name(record: &Record) -> String {
    format!("{}.{}", record.uuid, record.format)
}

async fn remove(path: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
