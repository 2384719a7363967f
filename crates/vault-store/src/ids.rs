//! Identifiers.
macro_rules! ids { ($($name:ident),+) => {$(
    /// An identifier.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct $name([u8; 16]);
    impl $name {
        /// From bytes.
        #[must_use]
        pub const fn from_bytes(bytes: [u8; 16]) -> Self { Self(bytes) }
        /// Its bytes.
        #[must_use]
        pub const fn as_bytes(&self) -> &[u8; 16] { &self.0 }
    }
)+}}
ids!(AccountId, SlotId, CeremonyId, FactorId, DeviceId, RecordId, AuthorId);
