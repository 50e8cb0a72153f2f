//! A [`View`] as a tree, for people.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use stack::names;
use stack::spec::{Condition, ConditionStatus};

use super::view::{Happening, Part, PodView, Routes, View};
use crate::age::age;
use crate::style::Style;

/// A line and what hangs on it.
struct Node {
    text: String,
    children: Vec<Node>,
}

impl Node {
    const fn leaf(text: String) -> Self {
        Self { text, children: Vec::new() }
    }
}

/// Writes the tree. `all_pods`: of parts that are well, too.
pub(super) fn render(view: &View, now: DateTime<Utc>, all_pods: bool, style: Style) -> String {
    let mut out = head(view, style);
    let services: Vec<_> = view
        .parts
        .iter()
        .filter(|part| ![names::API_GATEWAY, names::POSTGRES].contains(&part.name.as_str()))
        .collect();
    let ready = services.iter().filter(|part| part.is_ready()).count();
    let alone = |name: &str| {
        view.parts.iter().find(|part| part.name == name).map(|found| part(found, now, all_pods, style))
    };
    let nodes = [
        alone(names::API_GATEWAY),
        Some(Node {
            text: style.strong(&format!("services  {ready}/{} ready", services.len())),
            children: services.iter().map(|found| part(found, now, all_pods, style)).collect(),
        }),
        alone(names::POSTGRES),
        (!view.routes.is_empty()).then(|| routes(&view.routes, style)),
        Some(Node {
            text: style.strong("conditions"),
            children: view.conditions.iter().map(|found| Node::leaf(condition(found, now, style))).collect(),
        }),
        (!view.events.is_empty()).then(|| Node {
            text: style.strong("last events"),
            children: view.events.iter().map(|found| Node::leaf(event(found, now, style))).collect(),
        }),
    ];
    let nodes: Vec<_> = nodes.into_iter().flatten().collect();
    branches(&mut out, "", &nodes, style);
    out
}

fn head(view: &View, style: Style) -> String {
    let state = match view {
        View { deleting: true, .. } => style.pending("being deleted"),
        View { paused: true, .. } => style.pending("paused"),
        View { observed: false, .. } => style.pending("the operator has not seen the last change yet"),
        View { ready: true, .. } => style.good("ready"),
        View { .. } => style.bad("not ready"),
    };
    let facts = [Some(state), view.version.clone(), view.gateway_url.clone()];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    format!(
        "{} {}  {}\n",
        style.strong(&view.name),
        style.faint(&format!("in {}", view.namespace)),
        facts.join("  ")
    )
}

fn part(part: &Part, now: DateTime<Utc>, all_pods: bool, style: Style) -> Node {
    let count = format!("{}/{}", part.ready, part.desired);
    let count = if part.is_ready() { style.good(&count) } else { style.bad(&count) };
    let tag = part.image.as_deref().and_then(|image| image.rsplit_once(':')).map_or("", |(_, tag)| tag);
    let mut text = format!("{}{count}  {}", column(&part.name, 26), style.faint(tag));
    if part.updated < part.desired {
        let _ = write!(
            text,
            "  {}",
            style.pending(&format!("rolling out: {} of {} new", part.updated, part.desired))
        );
    }
    let shown = all_pods || !part.is_ready();
    let pods = part.pods.iter().filter(|_| shown).map(|found| Node::leaf(pod(found, now, style))).collect();
    Node { text, children: pods }
}

fn pod(pod: &PodView, now: DateTime<Utc>, style: Style) -> String {
    let state = if pod.ready { style.good(&pod.state) } else { style.bad(&pod.state) };
    let restarts = match pod.restarts {
        0 => String::new(),
        1 => format!("  {}", style.pending("1 restart")),
        many => format!("  {}", style.pending(&format!("{many} restarts"))),
    };
    let node = pod.node.as_deref().map(|node| format!("on {node}"));
    let since = pod.started.map(|started| age(started, now));
    let rest: Vec<_> = [node, since].into_iter().flatten().collect();
    format!("{}  {state}{restarts}  {}", pod.name, style.faint(&rest.join(", ")))
}

fn routes(routes: &[Routes], style: Style) -> Node {
    let operations: usize = routes.iter().map(|group| group.operations).sum();
    let line = |group: &Routes| {
        let number = if group.operations == 1 {
            "1 operation".to_owned()
        } else {
            format!("{} operations", group.operations)
        };
        Node::leaf(format!(
            "{}{}{}",
            column(&group.path, 26),
            column(&group.service, 26),
            style.faint(&number)
        ))
    };
    Node {
        text: style.strong(&format!("routes  {operations} operations")),
        children: routes.iter().map(line).collect(),
    }
}

/// `Degraded` is well when it is not so; `Progressing` is neither well nor unwell.
fn condition(condition: &Condition, now: DateTime<Utc>, style: Style) -> String {
    let status = match condition.status {
        ConditionStatus::True => "True",
        ConditionStatus::False => "False",
        ConditionStatus::Unknown => "Unknown",
    };
    let padded = column(status, 8);
    let paint = match (condition.r#type.as_str(), condition.status) {
        ("Progressing", ConditionStatus::False) => Style::faint,
        ("Progressing", _) | (_, ConditionStatus::Unknown) => Style::pending,
        ("Degraded", ConditionStatus::True) => Style::bad,
        ("Degraded", ConditionStatus::False) | (_, ConditionStatus::True) => Style::good,
        (_, ConditionStatus::False) => Style::bad,
    };
    let painted = paint(style, &padded);
    let since = DateTime::parse_from_rfc3339(&condition.last_transition_time).ok();
    let since = since.map(|since| age(since.to_utc(), now)).unwrap_or_default();
    let why =
        [condition.reason.as_str(), condition.message.as_str()].into_iter().filter(|text| !text.is_empty());
    format!(
        "{}{painted}{} {}",
        column(&condition.r#type, 20),
        style.faint(&column(&since, 7)),
        why.collect::<Vec<_>>().join(": ")
    )
}

fn event(event: &Happening, now: DateTime<Utc>, style: Style) -> String {
    let when = event.last.map(|last| age(last, now)).unwrap_or_default();
    let reason = if event.warning { style.bad(&event.reason) } else { event.reason.clone() };
    let times =
        if event.count > 1 { style.faint(&format!(" ({} times)", event.count)) } else { String::new() };
    format!(
        "{}{reason}  {}  {}{times}",
        style.faint(&column(&when, 7)),
        event.about,
        one_line(&event.message)
    )
}

fn branches(out: &mut String, indent: &str, nodes: &[Node], style: Style) {
    for (index, node) in nodes.iter().enumerate() {
        let (branch, below) =
            if index + 1 == nodes.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let _ = writeln!(out, "{}{}", style.faint(&format!("{indent}{branch}")), node.text.trim_end());
        branches(out, &format!("{indent}{below}"), &node.children, style);
    }
}

fn column(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
