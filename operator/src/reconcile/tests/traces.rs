//! What a collector sees of reconciles.

use kube::runtime::{reflector, watcher};
use testkit::collector::{Answers, Collector, Seen};

use super::*;

fn names(spans: &[Seen], below: &Seen) -> Vec<String> {
    spans.iter().filter(|span| span.parent == below.id).map(|span| span.name.clone()).collect()
}

#[tokio::test]
async fn a_reconcile_is_a_trace_with_a_span_for_each_step() {
    let (cluster, collector) = (Cluster::default(), Collector::start(Answers::Takes).await);
    let mut operator = Operator::new(cluster.client());
    operator.tracer = ::traces::Tracer::new("healthcare-operator", 5, None);
    operator.tracer.configure(Some(&settings::Tracing {
        endpoint: collector.endpoint().to_owned(),
        sample_percent: 100,
        ..settings::Tracing::default()
    }));
    let stack = at(1, "0.1.0", &json!({}));
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&watcher::Event::Apply(stack.clone()));
    cluster.kept().refused = vec![("/configmaps/", 500, 1)];
    for _ in 0..2 {
        operator.attempt(&store, &stack).await.unwrap();
        // No back-off, and no breath.
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        operator.forget(&crate::stacks::id(&stack));
    }
    operator.tracer.flush().await;

    let spans = collector.spans();
    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    let [failed, went_well] = roots.as_slice() else { panic!("{spans:#?}") };
    for root in &roots {
        assert_eq!((root.name.as_str(), root.part.as_str()), ("reconcile", "healthcare-operator"));
        assert_eq!((root.says("k8s.namespace.name"), root.says("healthcare.stack")), ("clinic", "clinic"));
        assert_eq!(root.says("healthcare.generation"), "1");
    }
    assert_eq!((failed.says("healthcare.outcome"), failed.says("error.type")), ("failed", "api"));
    assert!(failed.error.as_deref().is_some_and(|error| error.contains("Refused")), "{failed:#?}");
    let apply = spans.iter().find(|span| span.name == "apply" && span.parent == failed.id).unwrap();
    assert_eq!(apply.says("error.type"), "api", "the step that it failed in");
    assert!(!names(&spans, failed).contains(&"prune".to_owned()));

    assert_eq!((went_well.says("healthcare.outcome"), went_well.error.as_deref()), ("changed", None));
    let steps = names(&spans, went_well);
    for step in ["finalizer", "validate", "secrets", "plan", "apply", "prune", "status"] {
        assert!(steps.contains(&step.to_owned()), "{step}: {steps:?}");
    }
    let all_within = |span: &&Seen| went_well.start <= span.start && span.end <= went_well.end;
    assert!(spans.iter().filter(|span| span.parent == went_well.id).all(|span| all_within(&span)));
    let page = operator.metrics.page(&[]);
    assert!(page.contains(&format!("# {{trace_id=\"{}\"}}", went_well.trace)), "an exemplar: {page}");
}
