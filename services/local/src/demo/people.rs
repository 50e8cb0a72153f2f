//! Names and addresses of nobody: common names, and domains and numbers that are reserved for examples (RFC 2606, ITU 555).

/// Given names.
pub(super) const GIVEN: [&str; 40] = [
    "Ada", "Amara", "Anna", "Ben", "Carlos", "Chloe", "Daniel", "Elena", "Emil", "Emma", "Farid", "Finn",
    "Grace", "Hannah", "Hugo", "Ines", "Ivan", "Jakob", "Jasmin", "Jonas", "Kofi", "Lara", "Leo", "Lina",
    "Lukas", "Malik", "Marta", "Mei", "Milan", "Nadia", "Noah", "Olga", "Oscar", "Priya", "Rosa", "Samuel",
    "Sofia", "Tariq", "Theo", "Yuki",
];

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
pub(super) const FINDINGS: [(&str, &str, &str, &str, i64); 10] = [
    ("Influenza", "Rest and hydration", "Paracetamol 500 mg", "Consultation", 6_500),
    (
        "Hypertension, controlled",
        "Continue medication, less salt",
        "Ramipril 5 mg",
        "Follow-up consultation",
        4_800,
    ),
    ("Type 2 diabetes, review", "Diet and exercise", "Metformin 850 mg", "Diabetes review", 7_200),
    (
        "Sprained ankle",
        "Rest, ice, compression, elevation",
        "Ibuprofen 400 mg",
        "Examination and bandage",
        8_900,
    ),
    ("Eczema", "Emollients twice a day", "Hydrocortisone cream 1 %", "Dermatological consultation", 7_800),
    ("Migraine", "Headache diary, avoid triggers", "Sumatriptan 50 mg", "Neurological consultation", 9_400),
    ("Asthma, mild", "Inhaler technique checked", "Salbutamol inhaler", "Lung function test", 11_250),
    ("Routine check-up, no findings", "None needed", "", "Health check", 12_000),
    ("Low back pain", "Physiotherapy, six sessions", "Naproxen 250 mg", "Examination", 6_900),
    ("Seasonal allergic rhinitis", "Avoid pollen, rinse the nose", "Cetirizine 10 mg", "Consultation", 6_500),
];

/// Insurers.
pub(super) const INSURERS: [&str; 4] =
    ["HealthInsure", "Alpine Mutual", "CareFirst Cooperative", "Nordkasse"];
