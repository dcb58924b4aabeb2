//! Any text at all as a permission, a role's name or a resource type: it is refused, or it is what it was read from.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_permission_is_the_text_it_was_read_from(text in "[a-z*:_0-9A-Z-]{0,12}:[a-z*_-]{0,12}", other in any::<String>()) {
        for text in [text, other] {
            let Ok(permission) = text.parse::<Permission>() else { continue };
            prop_assert_eq!(permission.to_string(), text);
            prop_assert!(permission.covers(&permission));
        }
    }

    #[test]
    fn a_role_is_named_as_it_was_read(text in "[a-z][a-z0-9_.-]{0,70}", other in any::<String>()) {
        for text in [text, other] {
            let Ok(name) = text.parse::<RoleName>() else { continue };
            prop_assert_eq!(name.as_str(), text.as_str());
            prop_assert!(text.len() <= 63 && text.is_ascii());
        }
    }

    #[test]
    fn a_question_is_answered_by_its_own_permission_and_no_other(
        resource_type in "[a-z][a-z0-9_-]{0,4}", action in "[a-z][a-z0-9_-]{0,4}", other in "[a-z*][a-z0-9:_-]{0,5}",
    ) {
        let asked = Question { action: &action, resource_type: &resource_type, resource_id: None, own: false };
        let Some(exactly) = Permission::exactly(asked) else { return Ok(()) };
        prop_assert!(exactly.answers(asked));
        let elsewhere = Question { resource_type: &other, ..asked };
        prop_assert_eq!(exactly.answers(elsewhere), other == resource_type);
    }
}
