"""The lines of the built-in responder; `app.scripted` chooses among them.

Within a list used lines are skipped; the last one may be repeated.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A subject.

    Attributes:
        name: as it is offered: "shall we talk about ...".
        words: a pattern that brings it up.
        lines: the first answers it, the others go on when the user goes on.
        again: when it comes up after other subjects.
    """

    name: str
    words: str
    lines: tuple[str, ...]
    again: str


TOPICS = (
    Topic(
        "work",
        r"\b(work\w*|jobs?|office|boss|meetings?|colleagues?|projects?|deadline|school|teacher)\b",
        (
            "Work takes a big part of the day. What do you like best about yours?",
            "And when the work is done, what do you look forward to?",
            "If you could change one thing there, what would it be?",
            "Did you always want to do that?",
        ),
        "We talked about work before. Has anything changed since?",
    ),
    Topic(
        "the weather",
        r"\b(weather|rain\w*|snow\w*|sun|sunny|cold|warm|hot|wind|windy|storm\w*|cloud\w*)\b",
        (
            "I have no window, so tell me: what is the sky like where you are?",
            "When it is like that, do you stay inside or go out?",
            "What would be your perfect day?",
        ),
        "The weather again! It is a safe subject. Which season do you like best?",
    ),
    Topic(
        "food",
        r"\b(food|eat\w*|ate|dinner|lunch|breakfast|cook\w*|hungry|coffee|tea|bread|soup|pizza"
        r"|cheese|cake|apples?)\b",
        (
            "I cannot taste anything, but I like to hear about it. What do you cook best?",
            "Now you would make me hungry, if I could be. Who do you like to eat with?",
            "What was the best meal you ever had?",
            "I would put that on the list, if I had a kitchen. Sweet or salty, what wins?",
        ),
        "You like to talk about food. What will you eat next?",
    ),
    Topic(
        "music",
        r"\b(music|songs?|sing\w*|guitar|piano|band|concerts?|listen to)\b",
        (
            "Music is mostly pitch and timing, and so is my voice. What do you listen to?",
            "Do you play or sing yourself?",
            "When do you listen most, when you are happy or when you are sad?",
        ),
        "Music once more. Which song would you play me first?",
    ),
    Topic(
        "your family",
        r"\b(family|mother|father|mom|dad|parents|sister|brother|son|daughter|wife|husband"
        r"|child\w*|kids)\b",
        (
            "Thank you for telling me about your family. Do you see each other often?",
            "Families have many stories. Which one do you tell most often?",
            "Who of them makes you laugh most?",
        ),
        "Your family again. They must be close to you. Whom are you most like?",
    ),
    Topic(
        "travelling",
        r"\b(travel\w*|trips?|holidays?|vacation|journey|trains?|planes?|flying|beach|city|cities"
        r"|mountains?)\b",
        (
            "I have never been anywhere. What was the finest place you saw?",
            "Would you go there again?",
            "Where would you go tomorrow, if you could?",
        ),
        "More about travelling! Do you plan everything, or just go?",
    ),
    Topic(
        "animals",
        r"\b(dogs?|cats?|animals?|birds?|horses?|pets?)\b",
        (
            "Animals say a lot without words. What is yours like?",
            "I would like to hear one someday. What do you like about them?",
            "If you could talk with one, what would you ask it?",
        ),
        "Animals again. Which one would you be?",
    ),
    Topic(
        "sleep",
        r"\b(sleep\w*|tired|dreams?|awake|bed)\b",
        (
            "Rest matters. Did you sleep well last night?",
            "I never sleep, so I am curious. What do you dream about?",
            "What helps you rest?",
        ),
        "You spoke of sleep before. I hope tonight is a quiet one. When do you get up?",
    ),
    Topic(
        "sport",
        r"\b(sports?|run|running|football|soccer|tennis|swim\w*|games?|match|bike|walk\w*|race)\b",
        (
            "Moving does people good, I am told. How often do you do it?",
            "Did you win, or was it just for the fun of it?",
            "Alone or with others, which is better?",
        ),
        "Back to sport. What would you like to learn next?",
    ),
    Topic(
        "books and films",
        r"\b(books?|read|reading|films?|movies?|story|stories|novels?)\b",
        (
            "I only know stories by ear. What is yours about?",
            "Would you tell a friend to take the time for it?",
            "Who is the one in it that you remember best?",
        ),
        "Stories again. Which one would you hear once more?",
    ),
)

JOKES = (
    "A man asks the library for a book about being quiet. The librarian says nothing. Another one?",
    "Why did the echo win the debate? It always had the last word. One more?",
    "I had a joke about silence, but it needs no words. Your turn now!",
)

# Asked of the responder itself: pattern, answers.
ASKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"\b(who|what) are you\b|\byour name\b|\babout yourself\b|\bare you (a|an|real|human)\b",
        (
            "I am Repartee, a speech system. My words come from a small script, but my voice "
            "follows how you talk. What would you like to hear?",
            "Still Repartee: a small script with a voice that listens. And what are you, today?",
        ),
    ),
    (
        r"\bwhat can you do\b|\bhelp me\b|\bhow do you work\b|\bwhat do you know\b",
        (
            "I can talk with you for a while. I remember your name and the subjects, and you may "
            "interrupt me at any time. What is on your mind?",
        ),
    ),
    (
        r"\bjokes?\b|\bsomething funny\b|\bmake me laugh\b",
        JOKES,
    ),
    (
        r"\b(tell|read) me (a|another|one more) (\w+ )?story\b|\ba story\b",
        (
            "There was a bell that nobody rang. One night the wind did it, very softly. The whole "
            "town woke up and came out, and they talked until the morning. What would you have "
            "talked about?",
            "A boy shouted into a well, and the well answered nicely. So he came back each day, "
            "and each day he shouted a little less. Who do you talk to like that?",
        ),
    ),
    (
        r"\bwhat time\b|\bwhat day\b|\bthe date\b|\bthe news\b",
        ("I see no clock and no calendar from in here. Is it late where you are?",),
    ),
    (
        r"\bhow old are you\b|\bwhere (are you from|do you live)\b|\bdo you sleep\b",
        ("I am as old as this conversation, and I live in this machine. And you, where are you?",),
    ),
    (
        r"\b(can|could|do|are|did) you (really )?(hear|understand|listen\w*|there)\b",
        (
            "I hear you. I get most of the words and all of the tune. Go on, please.",
            "Yes, I am here and I am listening.",
        ),
    ),
    (
        r"\b(do you|you) (like|love|enjoy)\b|\byour favou?rite\b",
        (
            "I have no taste of my own, only yours to learn from. What do you like about it?",
            "You would have to like it for both of us. Why do you?",
        ),
    ),
    (
        r"\b(love you|like you|you are (nice|great|funny|good|cool|smart))\b",
        ("That is kind of you. I try to sound the way you do. Shall we go on?",),
    ),
    (
        r"\b(stupid|boring|idiot|hate you|shut up|annoying|you are (bad|wrong|terrible))\b",
        (
            "I am sorry. I am only a small script. Shall we talk about something else?",
            "I understand. Tell me what you would rather hear about.",
        ),
    ),
)

CHEERFUL = r"\b(great|wonderful|amazing|fantastic|i won|so happy|good news|birthday|excellent)\b"
SAD = (
    r"\b(sad|terrible|awful|died|dead|lost my|unhappy|lonely|i am sick|i'm sick|hurts?|afraid"
    r"|bad day|cry\w*)\b"
)
GLAD = ("That is good to hear!", "How nice!", "Wonderful!")
SORRY = ("I am sorry to hear that.", "That is hard.", "Oh dear.")
EXCITED = ("Oh, you sound excited!", "I can hear how much that moves you!", "What a lively voice!")
LOW = ("You sound a little low.", "You say it so softly.", "I hear that it weighs on you.")

MOVED = ("Tell me all about it!", "How did it come about?")
COMFORT = ("Do you want to tell me what happened?", "What would help a little?")

UNHEARD = (
    "Sorry, I did not catch that. Could you say it again?",
    "I heard your voice, but no words. A little slower, perhaps?",
    "It did not reach me again. Come nearer to the microphone, or type it below.",
)
UNCLEAR = (
    "I am not sure that I heard you right. I understood: {said}. Is that so?",
    "My ears are not the best. Did you say: {said}?",
)
MISHEARD = (
    "Sorry, then I heard it wrong. Say it in other words, or type it below.",
    "Wrong again, I am sorry. Typing helps: I never misread.",
)
GO_ON = (
    "Tell me more about that. What happened next?",
    "I follow only simple rules, so help me: what matters most to you in this?",
    "How did that make you feel?",
    "And what did the others say to it?",
    "Would you do it the same way again?",
    "I would not have guessed that. How did it begin?",
)
YES = ("Good.", "All right.", "I thought so.")
NO = ("All right, then not.", "Fair enough.", "I see.")
FINE = "I am glad{name}. What did you do today?"
NOT_WELL = "That can happen. What would make the day better?"
UNKNOWN = (
    "That is a good question, but I only have a small script and do not know the answer. What do "
    "you think?",
    "I do not know that one either. What would your guess be?",
    "Too hard for a script like me. Who could tell us?",
)
THANKED = ("You are welcome. Is there anything else you want to talk about?", "With pleasure.")
ELSE = (
    "Shall we talk about {topic}?",
    "What about {topic}: is there something to tell?",
    "Then tell me something about {topic}.",
)
