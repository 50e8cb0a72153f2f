//! Names and addresses of nobody: common names, and a domain that is reserved for examples (RFC 2606).

/// Given names.
const GIVEN: [&str; 40] = [
    "Ada", "Amara", "Anna", "Chloe", "Elena", "Emma", "Grace", "Hannah", "Ines", "Jasmin", "Lara", "Lina",
    "Marta", "Mei", "Nadia", "Olga", "Priya", "Rosa", "Sofia", "Yuki", "Ben", "Carlos", "Daniel", "Emil",
    "Farid", "Finn", "Hugo", "Ivan", "Jakob", "Jonas", "Kofi", "Leo", "Lukas", "Malik", "Milan", "Noah",
    "Oscar", "Samuel", "Tariq", "Theo",
];
/// The first so many are women's.
const WOMEN: usize = 20;

/// Family names.
pub(super) const FAMILY: [&str; 40] = [
    "Adeyemi",
    "Almeida",
    "Andersson",
    "Bauer",
    "Becker",
    "Bianchi",
    "Chen",
    "Cohen",
    "Costa",
    "Diallo",
    "Dubois",
    "Fischer",
    "Garcia",
    "Haddad",
    "Hansen",
    "Hoffmann",
    "Ito",
    "Jansen",
    "Kaya",
    "Khan",
    "Kim",
    "Kowalski",
    "Krüger",
    "Laurent",
    "Lopez",
    "Meyer",
    "Mensah",
    "Murphy",
    "Novak",
    "Okafor",
    "Patel",
    "Petrov",
    "Rossi",
    "Sato",
    "Schmidt",
    "Silva",
    "Singh",
    "Svensson",
    "Weber",
    "Yilmaz",
];

/// Allergies, one in three has some.
pub(super) const ALLERGIES: [&str; 8] =
    ["Penicillin", "Peanuts", "Latex", "Aspirin", "Bee venom", "Shellfish", "Sulfonamides", "Pollen"];

/// Chronic conditions, one in three has some.
pub(super) const CONDITIONS: [&str; 8] = [
    "Hypertension",
    "Type 2 diabetes",
    "Asthma",
    "Hypothyroidism",
    "Migraine",
    "Osteoarthritis",
    "COPD",
    "Atrial fibrillation",
];

/// Twelve providers: name, specialization.
pub(super) const PROVIDERS: [(&str, &str); 12] = [
    ("Dr. Helena Brandt", "General practice"),
    ("Dr. Samir Haddad", "General practice"),
    ("Dr. Ruth Okafor", "General practice"),
    ("Dr. Marek Novak", "Cardiology"),
    ("Dr. Ingrid Svensson", "Cardiology"),
    ("Dr. Paolo Rossi", "Dermatology"),
    ("Dr. Li Chen", "Paediatrics"),
    ("Dr. Aisha Khan", "Paediatrics"),
    ("Dr. Tomás García", "Orthopaedics"),
    ("Dr. Claire Dubois", "Gynaecology"),
    ("Dr. Kenji Sato", "Neurology"),
    ("Dr. Eva Lindqvist", "Psychiatry"),
];

/// What a visit finds: diagnosis, treatment, prescription, the service that is charged, its price in minor units.
type Finding = (&'static str, &'static str, &'static str, &'static str, i64);

/// Whom a provider sees, and with what.
pub(super) struct Practice {
    /// The year in which the oldest was born, and over how many years they are spread.
    pub(super) ages: (i32, u64),
    /// Their given names.
    pub(super) given: &'static [&'static str],
    /// What they come with.
    pub(super) findings: &'static [Finding],
}

/// The practice of a provider, by their place in [`PROVIDERS`].
pub(super) fn practice_of(provider: usize) -> &'static Practice {
    match PROVIDERS[provider % PROVIDERS.len()].1 {
        "Cardiology" => &CARDIOLOGY,
        "Dermatology" => &DERMATOLOGY,
        "Paediatrics" => &PAEDIATRICS,
        "Orthopaedics" => &ORTHOPAEDICS,
        "Gynaecology" => &GYNAECOLOGY,
        "Neurology" => &NEUROLOGY,
        "Psychiatry" => &PSYCHIATRY,
        _ => &GENERAL,
    }
}

static GENERAL: Practice = Practice {
    ages: (1938, 68),
    given: &GIVEN,
    findings: &[
        ("Influenza", "Rest and hydration", "Paracetamol 500 mg", "Consultation", 6_500),
        ("Type 2 diabetes, review", "Diet and exercise", "Metformin 850 mg", "Diabetes review", 7_200),
        ("Routine check-up, no findings", "None needed", "", "Health check", 12_000),
        ("Low back pain", "Physiotherapy, six sessions", "Naproxen 250 mg", "Examination", 6_900),
        (
            "Seasonal allergic rhinitis",
            "Avoid pollen, rinse the nose",
            "Cetirizine 10 mg",
            "Consultation",
            6_500,
        ),
    ],
};
static CARDIOLOGY: Practice = Practice {
    ages: (1936, 40),
    given: &GIVEN,
    findings: &[
        (
            "Hypertension, controlled",
            "Continue medication, less salt",
            "Ramipril 5 mg",
            "Cardiological follow-up",
            8_800,
        ),
        (
            "Atrial fibrillation",
            "Rate control, anticoagulation",
            "Apixaban 5 mg",
            "ECG and consultation",
            13_400,
        ),
        ("Stable angina", "Gradual exercise", "Bisoprolol 2.5 mg", "Exercise test", 16_900),
    ],
};
static DERMATOLOGY: Practice = Practice {
    ages: (1945, 60),
    given: &GIVEN,
    findings: &[
        (
            "Eczema",
            "Emollients twice a day",
            "Hydrocortisone cream 1 %",
            "Dermatological consultation",
            7_800,
        ),
        ("Acne vulgaris", "Gentle cleansing", "Adapalene gel 0.1 %", "Dermatological consultation", 7_800),
        ("Skin check, no findings", "Sun protection", "", "Full skin examination", 9_500),
    ],
};
static PAEDIATRICS: Practice = Practice {
    ages: (2010, 15),
    given: &GIVEN,
    findings: &[
        ("Otitis media", "Observation, analgesia", "Ibuprofen suspension", "Paediatric consultation", 6_200),
        ("Well-child visit, no findings", "None needed", "", "Well-child examination", 7_400),
        ("Croup, mild", "Cool air, fluids", "Dexamethasone, single dose", "Paediatric consultation", 6_200),
    ],
};
static ORTHOPAEDICS: Practice = Practice {
    ages: (1942, 58),
    given: &GIVEN,
    findings: &[
        (
            "Sprained ankle",
            "Rest, ice, compression, elevation",
            "Ibuprofen 400 mg",
            "Examination and bandage",
            8_900,
        ),
        (
            "Osteoarthritis of the knee",
            "Physiotherapy, six sessions",
            "Naproxen 250 mg",
            "X-ray and examination",
            12_600,
        ),
        ("Frozen shoulder", "Exercises at home", "", "Examination", 6_900),
    ],
};
static GYNAECOLOGY: Practice = Practice {
    ages: (1955, 50),
    given: GIVEN.split_at(WOMEN).0,
    findings: &[
        ("Cervical screening, normal", "Next screening in three years", "", "Cervical screening", 6_800),
        (
            "Iron deficiency anaemia",
            "Iron-rich diet",
            "Ferrous sulfate 200 mg",
            "Gynaecological consultation",
            8_100,
        ),
        (
            "Pregnancy, routine visit",
            "Next visit in four weeks",
            "Folic acid 400 µg",
            "Antenatal visit",
            9_900,
        ),
    ],
};
static NEUROLOGY: Practice = Practice {
    ages: (1940, 60),
    given: &GIVEN,
    findings: &[
        (
            "Migraine",
            "Headache diary, avoid triggers",
            "Sumatriptan 50 mg",
            "Neurological consultation",
            9_400,
        ),
        (
            "Restless legs syndrome",
            "Less caffeine",
            "Pramipexole 0.18 mg",
            "Neurological consultation",
            9_400,
        ),
        ("Carpal tunnel syndrome", "Splint at night", "", "Nerve conduction study", 14_300),
    ],
};
static PSYCHIATRY: Practice = Practice {
    ages: (1950, 55),
    given: &GIVEN,
    findings: &[
        (
            "Depression, moderate",
            "Cognitive behavioural therapy",
            "Sertraline 50 mg",
            "Psychiatric consultation",
            11_800,
        ),
        ("Insomnia", "Sleep hygiene", "", "Psychiatric consultation", 11_800),
        (
            "Generalised anxiety disorder",
            "Cognitive behavioural therapy",
            "Escitalopram 10 mg",
            "Psychiatric follow-up",
            9_200,
        ),
    ],
};

/// Insurers.
pub(super) const INSURERS: [&str; 4] =
    ["HealthInsure", "Alpine Mutual", "CareFirst Cooperative", "Nordkasse"];
