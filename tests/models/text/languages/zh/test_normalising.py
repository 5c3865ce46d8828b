"""Mandarin normalisation: numbers, dates, times, money, per cent, telephone numbers, units,
marks."""

import re
import time

import pytest

from models.text.languages.zh.normalising import normalise

SAID = {
    "我买了3个苹果。": "我买了三个苹果.",
    "他有2个苹果，共2000多元": "他有两个苹果,共两千多元",
    "人々都来了": "人人都来了",
    "共1,250,000人": "共一百二十五万人",
    "2024年5月3日下午3:30": "二零二四年五月三日下午三点三十分",
    "1993-02-05发行": "一九九三年二月五日发行",
    "1992最佳制作人奖": "一九九二最佳制作人奖",
    "3月5号到8号": "三月五号到八号",
    "9:00-18:00": "九点到十八点",
    "价格是￥1,234.50": "价格是一千二百三十四点五零元",
    "$5和¥99": "五美元和九十九元",
    "占比25.5%，20%-30%": "占比百分之二十五点五,百分之二十到百分之三十",
    "3/4的人，比分3:2": "四分之三的人,比分三比二",
    "50-60人": "五十到六十人",
    "电话13800138000": "电话幺三八零零幺三八零零零",
    "打010-12345678": "打零幺零幺二三四五六七八",
    "身高1.75m，体重65kg": "身高一点七五米,体重六十五千克",
    "温度-5℃，100km/h": "温度负五摄氏度,每小时一百公里",
    "２０２４年，ＡＢＣ公司！": "二零二四年,ABC公司!",
    "“你好”（他说）……《红楼梦》": "你好 ,他说,, 红楼梦",
    "GPT-4和iPhone 15": "GPT 四和iPhone 十五",
    "第3名，90后": "第三名,九零后",
}


@pytest.mark.parametrize(("written", "said"), SAID.items())
def test_readings(written: str, said: str) -> None:
    assert re.sub(r"\s+(?=,)", "", normalise(written)) == re.sub(r"\s+(?=,)", "", said)
    assert not re.search(r"\d", normalise(written))


def test_long_paragraphs_are_fast() -> None:
    normalise("3个")  # loads the grammars
    started = time.process_time()
    normalise("今天天气很好买了3个苹果" * 250)
    assert time.process_time() - started < 2
