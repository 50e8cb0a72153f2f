//! `POST /api/auth/me/second-factor`

use contracts::auth::{OfferSecondFactor, SecondFactorOffer};
use http_kit::{Answer, Call};

use super::Known;
use crate::api::Api;
use crate::domain::second_factor::OFFER;
use crate::domain::totp::Totp;
use crate::error::Error;
use crate::store::second_factor::{Offer, second_factor_offer};

/// Offers a secret. Where there is a second factor it goes on until this one is confirmed, and a code of it is needed: whoever has a password
/// and somebody's open browser must not put their own phone in the place of theirs.
pub async fn offer(api: Api, call: Call<OfferSecondFactor>) -> Result<Answer<OfferSecondFactor>, Error> {
    let known = Known::by(&api, &call.caller, call.client_address.as_deref(), &call.body).await?;
    let offer = Offer { totp: Totp::generate(api.db.random()), until: api.db.clock().now() + OFFER };
    let proof = db::retrying(&api.db, async |mut tx| {
        let (user, _, proof) = known.prove(&mut tx, &api, call.body.code.as_deref()).await?;
        if !proof.is_good() {
            tx.rollback().await?;
            return Ok(proof);
        }
        second_factor_offer(&mut tx, &api.db, &known.id, &offer).await?;
        call.receipt.commit(tx, &answer(&api, &offer, user.username.as_str())).await?;
        Ok::<_, Error>(proof)
    })
    .await?;
    known.judge(&api, proof).await?;
    Ok(answer(&api, &offer, call.caller.username.as_deref().unwrap_or_default()))
}

fn answer(api: &Api, offer: &Offer, username: &str) -> Answer<OfferSecondFactor> {
    Answer::new(SecondFactorOffer {
        status: "Offered".to_owned(),
        secret: offer.totp.text(),
        uri: offer.totp.uri(api.issuer.title(), username),
        expires_at: offer.until,
    })
    .no_store()
}
