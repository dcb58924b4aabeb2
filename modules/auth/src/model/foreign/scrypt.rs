//! scrypt (RFC 7914), plain and as Firebase uses it: there, the derived key encrypts a key of the project, and what
//! comes out is the hash.

use ::scrypt::{Params, scrypt};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{LONGEST_KEY, MOST_MEMORY, base64, number};

/// `N·r·p` that one check may cost: about four seconds.
const MOST_WORK: u64 = 1 << 23;

pub(super) struct ScryptHash {
    params: Params,
    salt: Vec<u8>,
    expected: Vec<u8>,
    /// The project's key, of a hash that Firebase made.
    signer: Option<Vec<u8>>,
}

impl ScryptHash {
    /// `$scrypt$ln=14,r=8,p=1$salt$hash`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let [params, salt, hash] = fields(text, "$scrypt$")?;
        let [ln, r, p] = named(params, ["ln", "r", "p"])?;
        let params = bounded(ln, r, p)?;
        Self { params, salt: base64(salt)?, expected: base64(hash)?, signer: None }.checked()
    }

    /// `$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=…$salt$hash`. The separator is a part of the salt.
    pub(super) fn parse_firebase(text: &str) -> Option<Self> {
        let [params, salt, hash] = fields(text, "$fbscrypt$")?;
        let [version, n, r, p, separator, signer] = named(params, ["v", "n", "r", "p", "ss", "sk"])?;
        let params = bounded(n, r, p)?;
        let salt = [base64(salt)?, base64(separator)?].concat();
        let hash = Self { params, salt, expected: base64(hash)?, signer: Some(base64(signer)?) };
        (version == "1").then_some(hash)?.checked()
    }

    fn checked(self) -> Option<Self> {
        let fit = |length: usize| (16..=LONGEST_KEY).contains(&length);
        let signed = self.signer.as_ref().is_none_or(|signer| signer.len() == self.expected.len());
        (fit(self.expected.len()) && signed).then_some(self)
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        let length = if self.signer.is_some() { 32 } else { self.expected.len() };
        let mut derived = Zeroizing::new(vec![0; length]);
        if scrypt(password, &self.salt, &self.params, &mut derived).is_err() {
            return false;
        }
        match &self.signer {
            None => derived.ct_eq(&self.expected).into(),
            Some(signer) => encrypted(&derived, signer).is_some_and(|it| it.ct_eq(&self.expected).into()),
        }
    }
}

/// AES-256 in counter mode from zero on; each derived key encrypts this one text only.
fn encrypted(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let mut text = text.to_vec();
    let key = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
    key.less_safe_encrypt(&mut text, EncryptionContext::Iv128(FixedLength::from([0; 16]))).ok()?;
    Some(text)
}

fn fields<'a>(text: &'a str, prefix: &str) -> Option<[&'a str; 3]> {
    let fields: Vec<&str> = text.strip_prefix(prefix)?.split('$').collect();
    fields.try_into().ok()
}

/// The values of `a=1,b=2`, which must have exactly these names in this order.
fn named<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[&'a str; N]> {
    let mut parts = text.split(',');
    let mut values = [""; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = parts.next()?.strip_prefix(name)?.strip_prefix('=')?;
    }
    parts.next().is_none().then_some(values)
}

fn bounded(log_n: &str, r: &str, p: &str) -> Option<Params> {
    let (log_n, r, p) = (number(log_n)?, number(r)?, number(p)?);
    let n = 1_u64.checked_shl(log_n).filter(|_| (1..=30).contains(&log_n))?;
    let memory = n.checked_mul(r.into())?.checked_mul(128)?;
    let work = n.checked_mul(r.into())?.checked_mul(p.into())?;
    if memory > MOST_MEMORY || work > MOST_WORK {
        return None;
    }
    Params::new(u8::try_from(log_n).ok()?, r, p).ok()
}
