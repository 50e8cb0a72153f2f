//! Many at once: the database lets one have a time, and nobody meets an error of ours.

use super::*;

/// The statuses of all bookings, made at once, in order.
async fn all_at_once(stack: &Arc<TestStack>, bodies: Vec<Value>) -> Vec<u16> {
    let tasks: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let stack = Arc::clone(stack);
            tokio::spawn(async move { book(&stack, Role::Admin, &body).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    statuses
}

testkit::stack_tests! { services = [appointment::SERVICE, patient::SERVICE, provider::SERVICE];
    async fn of_many_who_want_one_slot_exactly_one_gets_it(stack: Arc<TestStack>) {
        provider(&stack, "prov001").await;
        let mut bodies = Vec::new();
        for n in 0..24 {
            patient(&stack, &format!("p{n}")).await;
            // Some want it whole, some a part of it.
            let time = ["10:00", "10:10", "09:50"][n % 3];
            bodies.push(at(&format!("apt{n}"), &format!("p{n}"), "prov001", time));
        }
        let statuses = all_at_once(&stack, bodies).await;
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
        assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
    }

    async fn of_many_appointments_of_a_patient_at_one_time_exactly_one_is_booked(stack: Arc<TestStack>) {
        patient(&stack, "12345").await;
        let mut bodies = Vec::new();
        for n in 0..12 {
            provider(&stack, &format!("prov{n}")).await;
            bodies.push(at(&format!("apt{n}"), "12345", &format!("prov{n}"), "10:00"));
        }
        let statuses = all_at_once(&stack, bodies).await;
        assert_eq!(statuses, [vec![201], vec![409; 11]].concat());
    }

    async fn those_who_cross_each_other_never_end_in_a_deadlock(stack: Arc<TestStack>) {
        const N: usize = 4;
        for n in 0..N {
            patient(&stack, &format!("p{n}")).await;
            provider(&stack, &format!("prov{n}")).await;
        }
        // Everybody wants everybody at one time: each provider and each patient can be had once.
        let bodies = (0..N * N).map(|n| at(&format!("apt{n}"), &format!("p{}", n % N), &format!("prov{}", n / N), "10:00"));
        let statuses = all_at_once(&stack, bodies.collect()).await;
        assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{statuses:?}");
        let booked = statuses.iter().filter(|status| **status == 201).count();
        // Nobody is left over with somebody free: at least half of them, at most all.
        assert!((N.div_ceil(2)..=N).contains(&booked), "{statuses:?}");
    }

    async fn two_who_move_to_one_slot_do_not_both_get_it(stack: Arc<TestStack>) {
        provider(&stack, "prov001").await;
        let times = ["09:00", "09:30", "10:00", "10:30", "11:00", "14:00", "14:30", "15:00"];
        for (n, time) in times.iter().enumerate() {
            patient(&stack, &format!("p{n}")).await;
            let _ = book(&stack, Role::Admin, &at(&format!("apt{n}"), &format!("p{n}"), "prov001", time)).await.expect(201);
        }
        let tasks: Vec<_> = (0..times.len())
            .map(|n| {
                let stack = Arc::clone(&stack);
                tokio::spawn(async move { put(&stack, Role::Admin, &format!("apt{n}"), &json!({"timeSlot": "16:30"})).await.status })
            })
            .collect();
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    }

    async fn changes_made_at_once_all_count(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt1", "12345", "prov001", "10:00")).await.expect(201);
        let tasks: Vec<_> = (0..8)
            .map(|n| {
                let stack = Arc::clone(&stack);
                let patch = if n % 2 == 0 { json!({"reason": format!("knee {n}")}) } else { json!({"durationMinutes": 30 + n}) };
                tokio::spawn(async move { put(&stack, Role::Admin, "apt1", &patch).await.expect(200) })
            })
            .collect();
        for task in tasks {
            let _ = task.await.unwrap();
        }
        assert_eq!(get(&stack, "apt1").await.expect(200).header("etag"), "\"v9\"");
    }

    async fn the_time_that_is_cancelled_is_won_by_one(stack: Arc<TestStack>) {
        clinic(&stack).await;
        let _ = book(&stack, Role::Admin, &at("apt0", "12345", "prov001", "10:00")).await.expect(201);
        let canceller = { let stack = Arc::clone(&stack); tokio::spawn(async move { cancel(&stack, "apt0").await.status }) };
        let bodies = (1..8).map(|n| at(&format!("apt{n}"), "12345", "prov001", "10:00")).collect();
        let statuses = all_at_once(&stack, bodies).await;
        assert_eq!(canceller.await.unwrap(), 200);
        assert!(statuses.iter().filter(|status| **status == 201).count() <= 1);
        assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{statuses:?}");
    }
}
