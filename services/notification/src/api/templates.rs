//! `GET /api/notifications/templates`, `GET`, `PUT` and `DELETE` of one, and `POST …/preview`.

use contracts::notifications::{
    DeleteTemplate, ListTemplates, NotificationType, PreviewTemplate, ReplaceTemplate, TemplateByType,
};
use contracts::page::Page;
use contracts::templates::{Language, MessageTemplate, TemplateChanged, TemplatePreview};
use db::Tx;
use http_kit::{Answer, Call};

use super::Api;
use crate::domain::text::{Facts, KINDS, Template};
use crate::error::Error;
use crate::store::template::{KeptTemplate, template_delete, template_list, template_put};

/// Lists them, those that come with this service among them.
pub async fn list(api: Api, _: Call<ListTemplates>) -> Result<Answer<ListTemplates>, Error> {
    let mut tx = api.db.read().await?;
    let kept = template_list(&mut tx, &api.db).await?;
    let all = KINDS.into_iter().flat_map(|kind| Language::ALL.map(|language| (kind, language)));
    let items = all.filter_map(|(kind, language)| view(&kept, kind, language)).collect();
    Ok(Answer::new(Page { items, next_cursor: None }))
}

/// Reads one.
pub async fn by_type(api: Api, call: Call<TemplateByType>) -> Result<Answer<TemplateByType>, Error> {
    let (kind, language) = call.path;
    let mut tx = api.db.read().await?;
    let kept = template_list(&mut tx, &api.db).await?;
    let shown = view(&kept, kind, language).ok_or(Error::NotFound)?;
    Ok(Answer::new(shown).version(version(&kept, kind, language)))
}

/// Has it say something else, from the next notification on.
pub async fn replace(api: Api, call: Call<ReplaceTemplate>) -> Result<Answer<ReplaceTemplate>, Error> {
    let (kind, language) = known(call.path)?;
    let template = Template::read(&call.body)?;
    let version = db::retrying(&api.db, async |mut tx| {
        let version = present(&api, &mut tx, kind, language).await?;
        call.if_match.check(version)?;
        let kept = KeptTemplate { kind, language, version, template: template.clone() };
        if !template_put(&mut tx, &api.db, &kept).await? {
            return Err(Error::Db(db::Error::LostRace));
        }
        tx.commit().await?;
        Ok::<_, Error>(version + 1)
    })
    .await?;
    Ok(Answer::new(TemplateChanged { status: "Updated".to_owned() }).version(version))
}

/// Has it say again what it said at first. Done again, it does nothing, and answers the same.
pub async fn delete(api: Api, call: Call<DeleteTemplate>) -> Result<Answer<DeleteTemplate>, Error> {
    let (kind, language) = known(call.path)?;
    db::retrying(&api.db, async |mut tx| {
        call.if_match.check(present(&api, &mut tx, kind, language).await?)?;
        template_delete(&mut tx, kind, language).await?;
        Ok::<_, Error>(tx.commit().await?)
    })
    .await?;
    Ok(Answer::new(TemplateChanged { status: "Deleted".to_owned() }))
}

/// What somebody would read. Nothing is kept.
pub async fn preview(_: Api, call: Call<PreviewTemplate>) -> Result<Answer<PreviewTemplate>, Error> {
    let (_, language) = known(call.path)?;
    let said = Template::read(&call.body)?.render(language, &Facts::sample());
    let said = said.map_err(|error| Error::Template(error.to_string()))?;
    Ok(Answer::new(TemplatePreview { subject: said.subject, text: said.text }))
}

/// There is nothing under a type that has no texts.
fn known((kind, language): (NotificationType, Language)) -> Result<(NotificationType, Language), Error> {
    if KINDS.contains(&kind) { Ok((kind, language)) } else { Err(Error::NotFound) }
}

async fn present(api: &Api, tx: &mut Tx, kind: NotificationType, language: Language) -> Result<i64, Error> {
    Ok(version(&template_list(tx, &api.db).await?, kind, language))
}

fn find(kept: &[KeptTemplate], kind: NotificationType, language: Language) -> Option<&KeptTemplate> {
    kept.iter().find(|kept| (kept.kind, kept.language) == (kind, language))
}

fn version(kept: &[KeptTemplate], kind: NotificationType, language: Language) -> i64 {
    find(kept, kind, language).map_or(0, |kept| kept.version)
}

fn view(kept: &[KeptTemplate], kind: NotificationType, language: Language) -> Option<MessageTemplate> {
    let kept = find(kept, kind, language).map(|kept| kept.template.clone());
    let built_in = kept.is_none();
    let Template { subject, text } = kept.or_else(|| Template::built_in(kind, language))?;
    Some(MessageTemplate { kind, language, subject, text, built_in })
}
