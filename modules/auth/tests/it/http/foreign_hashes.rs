//! Accounts that come from elsewhere, with the hashes they had there.

use crate::store::{count, sql};
use crate::world::{OTHER_PASSWORD, PASSWORD, World};
use platform::db::Database;
use testkit::both_engines;

/// Made by other programs, of [`PASSWORD`]; the kind's name and the text.
const FIXTURES: [(&str, &str); 20] = [
    ("bcrypt", "$2a$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K"),
    ("bcrypt", "$2b$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K"),
    ("bcrypt", "$2y$06$abcdefghijklmnopqrstuu10cNU3mXRamSUZYs8I8M/Szu..qXq5K"),
    ("sha_crypt", "$5$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0"),
    (
        "sha_crypt",
        "$6$rounds=1500$saltstring16char$kJdDVi5WuFJb1MZ6.4TtKxxk/DWN6RjGUwPDfWRBcwQu8rWTwayL0DFdt/tj4s6sjgq8JxUaTgW4fcMZgwR9A/",
    ),
    ("scrypt", "$scrypt$ln=12,r=8,p=1$c2l4dGVlbiBieXRlIHNsdA$d5FnXc8V9xXJ27O6o2O7pRW+fZurIIU7qVsUadCGB7k"),
    ("pbkdf2", "pbkdf2_sha256$20000$seasalt$ci/cX8oEqIWhmce5GZTnks5fpKq+omPpreR84MIqj2c="),
    ("pbkdf2", "pbkdf2_sha1$20000$seasalt$eLThNAzklgQzP3mvpPU6oISIO+k="),
    ("pbkdf2", "AQAAAAAAACcQAAAAEHNpeHRlZW4gYnl0ZSBzbHRu+U5RA1S/6ivt0vpomQcZXR21hA=="),
    ("pbkdf2", "AQAAAAEAACcQAAAAEHNpeHRlZW4gYnl0ZSBzbHRgyxa/Saf1Os32u1rFC7h4tYsBLoM449WEeinjWFNIJQ=="),
    ("pbkdf2", "AQAAAAIAACcQAAAAEHNpeHRlZW4gYnl0ZSBzbHTwJ7t5T0kn845HINQfHB+s3N7vEEzBzHfGlCtyksmMlA=="),
    (
        "pbkdf2",
        "$pbkdf2-sha256$i=27500$c2l4dGVlbiBieXRlIHNsdA==$Qx3qbw278zSt9WeG86lWZvHDoTyEGK0+JPKz57+E4H/Ng6YoGOwtYI+YoBjP/HcmVuBoCFrzDegARigUEGzp1g==",
    ),
    (
        "pbkdf2",
        "$pbkdf2-sha512$i=21000,l=64$c2l4dGVlbiBieXRlIHNsdA==$XxDKxut6PSaji9Ydoa3Z8mHoT7uEp5ju7WPulVausRn6HR+9mZ4UEbisguZDGhcu/6EGcbbaU60qA8KVDXoKhg==",
    ),
    ("pbkdf2", "$pbkdf2-sha256$29000$c2l4dGVlbiBieXRlIHNsdA$JNhzAr3HOLBXZLhXvaaAnaKkqcBrpydrWM3wWFqRBH8"),
    ("ssha", "{SSHA}KimvTMsDXtlKSwtp8gD62FpPDC0BAnNhbHRlZDg="),
    ("ssha", "{SSHA256}ZIJA+5MRVNu1uH9c8FWTxcyvCPWHT1aNs23ZSEPCU7UBAnNhbHRlZDg="),
    (
        "ssha",
        "{SSHA512}gShmLDaE++dk5QrJ6jibI5gyrQsAhc5UM8C3GUKRgguF0hWwgALPKcw8l22lCrrP2zXoYHxzy1WLUjv34DwijQECc2FsdGVkOA==",
    ),
    (
        "scrypt",
        "$fbscrypt$v=1,n=12,r=8,p=1,ss=Bw==,sk=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==$ZmlyZXNhbHQ=$5z+/nYFf2wIj1Dr/VZf4XYdforrBwb3yY5tQqKLuTEjMg8utMHUO9ZpD/GhXrUOMRxpU29BOYwQK7ncddI/sbA==",
    ),
    (
        "argon2",
        "$argon2id$v=19$m=64,t=3,p=1$c2l4dGVlbiBieXRlIHNsdA$VlQw+yMwI9SBEyV2x5o2H0l7JaHPIKC9w9bIZjiNX4o",
    ),
    (
        "argon2",
        "$argon2i$v=19$m=256,t=2,p=2$c2l4dGVlbiBieXRlIHNsdA$FDraGcMMx4zj+hdIkd2fxhCSCR/nBj90lSsiotIArwk",
    ),
];

/// Gives the account this hash, as an import does.
async fn give(world: &World, hash: &str) {
    sql(&world.db, &format!("UPDATE auth_credentials SET password_hash = '{hash}'")).await;
}

both_engines! {
    async fn a_foreign_hash_logs_in_once_and_is_ours_afterwards(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        for (name, text) in FIXTURES {
            give(&world, text).await;
            world.log_in("mia@example.test", OTHER_PASSWORD).await.expect_problem(401, "auth.invalid_credentials");
            assert_eq!(count(&world.db, &format!("auth_credentials WHERE password_hash = '{text}'")).await, 1);
            let tokens = world.log_in("mia@example.test", PASSWORD).await.expect(200).tokens();
            let ours = "auth_credentials WHERE password_hash LIKE '$argon2id$v=19$m=8,t=1,p=1$%'";
            assert_eq!(count(&world.db, ours).await, 1, "{name}");
            assert!(world.is_in(&tokens).await, "a better hash is no other password");
            world.log_in("mia@example.test", PASSWORD).await.expect(200);
            world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        }
    }

    async fn a_hash_with_other_parameters_is_made_anew_at_the_next_login(db: Database) {
        let key = platform::settings::MasterKey::generate().unwrap();
        let world = World::with_key(db.clone(), key.clone(), |_| {}).await;
        world.member("mia@example.test").await;
        let stored = async |params: &str| count(&world.db, &format!("auth_credentials WHERE password_hash LIKE '%{params}%'")).await;
        assert_eq!(stored("m=8,t=1,p=1").await, 1);
        let dearer = World::with_key(db, key, |it| it.hash.iterations = 3).await;
        dearer.log_in("mia@example.test", OTHER_PASSWORD).await.expect(401);
        assert_eq!(stored("m=8,t=1,p=1").await, 1);
        dearer.log_in("mia@example.test", PASSWORD).await.expect(200);
        assert_eq!(stored("m=8,t=3,p=1").await, 1);
        let updated = "auth_credentials c JOIN auth_accounts a ON a.id = c.account_id WHERE a.credential_version = 1";
        assert_eq!(count(&world.db, updated).await, 1, "nobody is logged out by it");
    }

    async fn of_two_passwords_that_bcrypt_can_not_tell_apart_the_second_is_refused(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        give(&world, "$2b$06$abcdefghijklmnopqrstuuIBuNj.FHUDJuljpq724SoPkEleOzHW2").await;
        let seen = "a".repeat(72);
        world.log_in("mia@example.test", &format!("{seen}b")).await.expect(401);
        world.log_in("mia@example.test", &seen).await.expect(200);
        world.log_in("mia@example.test", &format!("{seen}b")).await.expect(401);
    }

    async fn a_reset_replaces_a_foreign_hash(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        give(&world, FIXTURES[0].1).await;
        let token = world.reset_token("mia@example.test").await;
        world.reset(&token, OTHER_PASSWORD).await.expect(204);
        world.log_in("mia@example.test", PASSWORD).await.expect(401);
        world.log_in("mia@example.test", OTHER_PASSWORD).await.expect(200);
    }

    async fn a_hash_of_no_known_kind_lets_nobody_in(db: Database) {
        let world = World::new(db).await;
        world.member("mia@example.test").await;
        for hash in ["correct horse battery staple", "", "$1$salt$qJH7.N4xYta3aEG/dfqo/0"] {
            give(&world, hash).await;
            world.log_in("mia@example.test", PASSWORD).await.expect_problem(401, "auth.invalid_credentials");
        }
    }
}
