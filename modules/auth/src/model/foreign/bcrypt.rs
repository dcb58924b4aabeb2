//! bcrypt, with its two blind spots closed: it looks at 72 bytes and no further, and it can't tell a password from the
//! same one written twice with a zero byte in between. Both are refused, so that no second password fits.

use ::bcrypt::bcrypt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What bcrypt looks at.
const SEEN: usize = 72;
/// 2¹⁵ rounds take about two seconds.
const COSTS: std::ops::RangeInclusive<u32> = 4..=15;

pub(super) struct BcryptHash {
    cost: u32,
    salt: [u8; 16],
    expected: Vec<u8>,
}

impl BcryptHash {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (cost, rest) = text.get(4..)?.split_once('$')?;
        let cost = (cost.len() == 2).then(|| super::number(cost)).flatten()?;
        let (salt, hash) = (rest.get(..22)?, rest.get(22..)?);
        // 16 and 23 bytes leave bits in the last character that mean nothing and are not always zero.
        let salt = super::base64(&standard(salt)?)?.try_into().ok()?;
        let expected = super::base64(&standard(hash)?)?;
        (COSTS.contains(&cost) && expected.len() == 23).then_some(Self { cost, salt, expected })
    }

    pub(super) fn fits(&self, password: &[u8]) -> bool {
        let mut seen = Zeroizing::new(Vec::with_capacity(SEEN));
        seen.extend(password.iter().take(SEEN));
        if seen.len() < SEEN {
            seen.push(0);
        }
        let output = bcrypt(self.cost, self.salt, &seen);
        let same: bool = output.get(..23).unwrap_or_default().ct_eq(&self.expected).into();
        same && password.len() <= SEEN && !password.contains(&0)
    }
}

/// bcrypt's alphabet of base64, written in the usual one.
fn standard(text: &str) -> Option<String> {
    const USUAL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const BCRYPT: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    text.bytes()
        .map(|byte| {
            let place = BCRYPT.iter().position(|it| *it == byte)?;
            USUAL.get(place).copied().map(char::from)
        })
        .collect()
}
