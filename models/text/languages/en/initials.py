"""Words in capitals: initialisms are spelt; acronyms and emphasised words are read as words."""

import re

from models.text.languages.en.letters import INTERJECTIONS, LETTER_NAMES

_ACRONYMS = frozenset(
    """NASA NATO AIDS OPEC UNESCO UNICEF FIFA NAFTA SCUBA LASER RADAR SONAR NORAD SWAT PIN RAM ROM
    SIM GIF WASP YOLO LOL IKEA LEGO ASAP SAT COVID CAPTCHA DARPA JAVA BASIC ASCII NEET TED BART
    GAAP HIPAA FEMA NIMBY SARS MERS SAAB AARON AARHUS EERIE YVONNE YVETTE IRAQ QATAR""".split()
)
"""Said as words, though too short or too odd to be taken for one."""

_INITIALS = frozenset(
    """UCLA ACLU USDA USPS USAF UCSF UNLV UIUC NYSE IMHO BYOB BYOD ICAO OSCE AFAIK IUPAC UUID GUID
    ADHD ASPCA OBGYN APIS URLS UFOS CEOS ETFS IPOS UAVS VIPS SUVS FAQS ATMS""".split()
)
"""Spelt, though they could be said as words."""

_SAID_OTHERWISE = {
    **{"JPEG": "jay peg", "MPEG": "em peg", "YAML": "yammel", "JSON": "jason", "OLED": "oh led"},
    **{"IMAP": "eye map", "LDAP": "el dap", "DRAM": "dee ram", "SRAM": "ess ram"},
    **{"GMAT": "jee mat", "LSAT": "el sat", "MCAT": "em cat", "TOEFL": "toe full"},
    **{"IELTS": "eye elts", "WYSIWYG": "wizzy wig", "ROFL": "roffle", "USAID": "you ess aid"},
    **{"WWI": "World War one", "WWII": "World War two", "NVIDIA": "en vidia"},
    **{"CDROM": "see dee rom", "WLAN": "double you lan", "VLAN": "vee lan", "SCSI": "scuzzy"},
}
_MIXED = {
    **{"NVMe": "en vee em ee", "pH": "pee aitch", "PhD": "pee aitch dee", "IoT": "eye oh tee"},
    **{"BSc": "bee ess see", "MSc": "em ess see", "GmbH": "jee em bee aitch", "DDoS": "dee doss"},
    **{"SaaS": "sass", "PaaS": "pass", "IaaS": "eye ass", "LaTeX": "lay tech"},
}
MIXED = "|".join(sorted(_MIXED, key=len, reverse=True)) + "|[a-z]+[A-Z]{2,5}"
"""Capitals with small letters that are no word: "NVMe", "mRNA", "macOS"."""
_SHORT_WORDS = frozenset(
    """AM AN AS AT BE BY DO GO HE IF IN IS IT ME MY NO OF OH ON OR SO TO UP US WE AH HA HI OW
    ALL AND ANY ARE BAD BIG BUT CAN DAY DID EAT END FAR FEW FOR FUN GET GOD GOT HAD HAS HER HEY HIM
    HIS HOT HOW ITS LET LOT MAD MAN MAY MEN NEW NOT NOW OFF OLD ONE OUR OUT OWN PAY PUT RAN RED RUN
    SAD SAT SAW SAY SEE SET SHE SIT SIX TEN THE TOO TRY TWO USE WAR WAS WAY WHO WHY WIN WON WOW YES
    YET YOU BYE DAD MOM ART BAR BED BOX BOY CAR CAT CUP CUT DOG EGG FAN FIT FIX FLY GUY HIT JOB KEY
    KID LAW LAY LEG LIE LOW MAP MIX NET NOR OIL PEN PET POP RAW ROW SEA SKY SON SUN TAX TEA TOP TOY
    VAN VIA WET HUH AHA YEP NAH UGH YAY AGO AIR ASK ADD AGE""".split()
)
_WORDS_OR_INITIALS = frozenset("US IT AM".split())

# Consonant clusters that start and end written English words, besides single consonants.
_ONSETS = frozenset(
    """bl br ch chl chr cl cr dr dw fl fr gh gl gn gr kh kl kn kr kw mn ph phl phr pl pn pr ps pt rh
    sc sch schm schn schw scl scr sf sh shl shm shr sk skw sl sm sn sp sph spl spr sr st str sv sw
    th thr thw tr ts tw vl wh wr zh zw""".split()
)
_CODAS = frozenset(
    """bb bs bt bts ch chs cht chts ck cks cs ct cts dd dds ds dst dt dth ff ffs fs ft fth fts
    gg ggs gh ghs ghth ghths ght ghts gm gms gn gns gs hl hm hms hn hns hs hts ks lb lbs lch
    ld lds ldt lf lfs lg lk lks ll lls lm lms ln lns lp lph lps ls lsh lst lt lth lths lts lv
    lz mb mbs mf mm mms mn mns mp mph mps mpt mpts ms mst mt nc nch nck nct ncts nd nds ndt nf
    ng ngs ngth ngths nk nks nn nns ns nsch nst nt nth nths nts ntz nx nz pf ph phs pp pps ps
    psh pt pth pts rb rbs rc rch rcs rd rds rf rfs rg rgh rgs rk rks rl rld rlds rls rm rms
    rmth rn rns rnt rp rps rr rrs rs rsch rsh rst rsts rt rth rths rts rtz rv rx rz sc sch sh
    sk sks sm sms sn sp sps ss st sts tch th ths thm thms ts tt tts tz wd wds wk wks wl wls wn
    wns ws wt xt xts zz""".split()
)


def spell(letters: str) -> str:
    """Names letters and digits one by one: "usa" -> "you ess ay"."""
    return " ".join(LETTER_NAMES[letter] for letter in letters.lower() if letter in LETTER_NAMES)


def _begins(consonants: str) -> bool:
    return len(consonants) < 2 or consonants in _ONSETS


def _ends(consonants: str) -> bool:
    return len(consonants) < 2 or consonants in _CODAS


def is_pronounceable(word: str) -> bool:
    """Whether letters could form an English word: "stop" and "nasa", not "imdb", "ymca", "ieee"."""
    word = re.sub(r"\Amc(?=[^aeiouy])", "", word.lower().replace("qu", "kw"))
    if re.match(r"y[^aeiouy]|aa|ee|ii|uu", word) or not re.search(r"[^aeiouy]", word):
        return False
    if not re.search(r"[aeiouy]", word):
        return False
    first, *inner, last = re.split(r"[aeiouy]+", word)
    return (
        _begins(first)
        and _ends(last)
        and all(
            any(_ends(run[:cut]) and _begins(run[cut:]) for cut in range(len(run) + 1))
            for run in inner
        )
    )


def acronym(capitals: str, shouted: bool = False) -> str:
    """Reads a word in capitals: as an acronym, letters, or an emphasised word.

    Args:
        capitals: at least two capital letters.
        shouted: a neighbouring word is in emphatic capitals too. "US" and "IT" are otherwise
            initials; "NOT" is always a word, since single words are emphasised by capitals.
    """
    if capitals in _WORDS_OR_INITIALS and not shouted:
        return spell(capitals)
    if capitals in _SAID_OTHERWISE:
        return _SAID_OTHERWISE[capitals]
    if capitals in _ACRONYMS:
        return capitals.capitalize()
    interjection = re.sub(r"(.)\1{2,}", r"\1\1", capitals.lower())
    if interjection in INTERJECTIONS:
        return INTERJECTIONS[interjection]
    if len(capitals) <= 3:
        is_word = capitals in _SHORT_WORDS
    else:
        is_word = capitals not in _INITIALS and is_pronounceable(capitals)
    return capitals.lower() if is_word else spell(capitals)


def mixed(word: str) -> str:
    """Reads matches of `MIXED`: "pH", "mRNA", "macOS"."""
    if word in _MIXED:
        return _MIXED[word]
    small = word.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    return f"{spell(small) if len(small) < 3 else small} {spell(word[len(small) :])}"


def is_shouted(word: str) -> bool:
    """Whether a neighbouring word is in emphatic capitals: "LOVE", not "Love" or "GDP"."""
    if not word.isupper() or len(word) < 2:
        return False
    return "'" in word or acronym(word) == word.lower()
