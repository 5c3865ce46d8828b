"""Feet and inches, degrees and minutes; quotes, apostrophes and decades are left alone."""

import pytest

from tests.models.text.reading import check

READ = {
    "5' wide": "five feet wide",
    "3'20\"": "three minutes twenty seconds",
    "5'7\"": "five foot seven",
    "6′2″": "six foot two",
    "8'6\"": "eight foot six",
    "6' 2\"": "six foot two",
    "5'-7\"": "five foot seven",
    "6'4": "six foot four",
    "5’ 7”": "five foot seven",
    '27" monitor': "twenty seven inch monitor",
    "a 27″ screen": "a twenty seven inch screen",
    'an 8" pizza': "an eight inch pizza",
    "6' x 4'": "six feet by four feet",
    "the '90s": "the nineties",
    "the 1990's": "the nineteen nineties",
    "'I have 5' he said": "I have five he said",
    'He said "I have 5" today': "He said I have five today",
    '"I am 5\'7" tall," he said': "I am five foot seven tall, he said",
    "40°26′46″N": "forty degrees twenty six minutes forty six seconds north",
    "79°58′36″W": "seventy nine degrees fifty eight minutes thirty six seconds west",
    "45° angle": "forty five degree angle",
    "a 90° turn": "a ninety degree turn",
    "51.5°N": "fifty one point five degrees north",
    "-5°": "minus five degrees",
    "360°": "three hundred sixty degrees",
    "180° F": "one hundred eighty degrees Fahrenheit",
    "10'": "ten feet",
    '10".': "ten inches.",
    "It is 5'.": "It is five feet.",
    '7½"': "seven and a half inches",
    '3/4" bolt': "three quarters inch bolt",
    '2" x 4"': "two inches by four inches",
    "5' by 7'": "five feet by seven feet",
    "rock 'n' roll": "rock and roll",
    "it's 5 o'clock": "it's five o'clock",
    "'twas 5": "twas five",
    "“I have 5” she said": "I have five she said",
    "‘I have 5’ she said": "I have five she said",
    "1'234": "one thousand two hundred thirty four",
    "3'10\"": "three foot ten",
    "100' drop": "one hundred foot drop",
    "2'x4'": "two feet by four feet",
    "8'×10'": "eight feet by ten feet",
    '10" x 12"': "ten inches by twelve inches",
    "3' x 5' rug": "three feet by five foot rug",
    '2"x4"': "two inches by four inches",
    "the °C scale": "the degrees Celsius scale",
    "rock 'n roll": "rock and roll",
    '65" TV': "sixty five inch tee vee",
    "N 40° 26'": "forty degrees twenty six minutes north",
    "x′": "ex prime",
    "f'(x)": "eff prime, ex",
    "f''(x) = 2": "eff double prime, ex, equals two",
    "dogs' (all)": "dogs, all",
    "40°42′06″N": "forty degrees forty two minutes six seconds north",
}


@pytest.mark.parametrize(("written", "spoken"), READ.items())
def test_readings(written: str, spoken: str) -> None:
    check(written, spoken)
