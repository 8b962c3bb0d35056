"""Common English words, of which prompts of a stated length are made. With the blank before it,
nearly each is one token of nearly every tokenizer; which are is measured (qs.llm.prompts.texts).
"""

from __future__ import annotations

_TEXT = """
    able about above accept access account across action active activity actual add address
    after again against age agree ahead air all allow almost alone along already also always
    among amount animal another answer any appear apply area argue arm around arrive art article
    ask attention authority available average avoid away baby back bad bag ball bank bar base
    basic bear beat beautiful because become bed before begin behind believe benefit best better
    between beyond big bill bird bit black blue board boat body book born both bottom box boy
    brain bring brother brown budget build building burn business busy but buy call camera camp
    can cap car card care carry case catch cause cell center central century certain chain chair
    challenge chance change character charge cheap check chief child choice choose church circle
    city civil claim class clean clear clock close clothes cloud club coast coffee cold collect
    college color come common company compare complete computer concern condition consider
    contact contain continue control cook cool copy corner cost could count country couple
    course court cover create credit cross crowd culture cup current customer cut daily damage
    dance danger dark data date day deal debate decade decide deep degree department describe
    design desk detail develop device difference different difficult dinner direct discover
    discuss disease distance divide doctor dog door double doubt down draw dream dress drink
    drive drop dry due during each early earth east easy eat economy edge education effect
    effort eight either electric else end energy engine enjoy enough enter entire environment
    equal error especially even evening event ever every exactly example except exist expect
    experience expert explain express eye face fact factor fail fair fall family famous far farm
    fast father favor fear feature feed feel few field figure file fill film final finally find
    fine finger finish fire firm first fish five floor flow fly focus follow food foot force
    foreign forest forget form former forward four frame free fresh friend from front fruit full
    fund future game garden gas general gentle get girl give glass global go goal gold good
    government grand great green ground group grow growth guess guide guy hair half hall hand
    happen happy hard have head health hear heart heat heavy height help here high hill history
    hold hole holiday home hope horse hospital hot hotel hour house how however huge human
    hundred husband ice idea identify image imagine impact important improve include increase
    indeed industry information inside instead interest into issue item itself jacket job join
    judge jump just keep key kid kind king kitchen know knowledge labor lack lady lake land
    language large last late laugh law lawyer lay lead leader learn least leave left leg legal
    less lesson let letter level library lie life light like line link list listen little live
    local long look lose loss lot love low lunch machine main major make man manage manager many
    map mark market marry master match material matter may maybe mean measure meat media medical
    meet meeting member memory mention message metal method middle might mile milk million mind
    minute mirror miss model modern moment money month moon more morning most mother mountain
    mouth move movement movie much music must name narrow nation natural nature near nearly
    necessary neck need network never new news next nice night nine none nor normal north nose
    note nothing notice now number object ocean off offer office officer often oil old once one
    only open operation opinion option orange order other outside over own page pain paint pair
    panel paper parent park part partner party pass past path patient pattern pay peace people
    perfect perhaps period person phone photo picture piece place plan plane plant plate play
    player please pleasure point police policy poor popular population position possible post
    pot power practice prepare present president press pressure pretty prevent price private
    prize problem process produce product program project promise proper protect prove provide
    public pull purpose push put quality quarter queen question quick quickly quiet quite race
    radio rain raise range rate rather reach read ready real realize really reason receive
    recent record red reduce region relate remain remember remove repeat reply report request
    require rest result return rice rich ride right ring rise risk river road rock role roof
    room root round row rule run safe salt same save say scale scene school science score sea
    search season seat second secret section see seed seek seem sell send sense series serious
    serve service set seven several shape share sharp she ship shirt shoe shop short should
    shoulder show side sight sign silver similar simple simply since sing single sister sit site
    six size skill sky sleep slow small smile snow social society soft soil some son song soon
    sort soul sound source south space speak special speech speed spend sport spring square
    staff stage stand standard star start state station stay steel step still stock stone stop
    store storm story straight strange street strength strong student study style subject
    success such sudden sugar suit summer sun supply support sure surface surprise sweet system
    table tail take talk tall tax teach teacher team technology tell ten term test than thank
    that their them then theory there these they thick thin thing think third this those though
    thought thousand three through throw tie time tiny tip today together tomorrow tone tonight
    too tool top total touch toward tower town track trade train travel tree trial trip trouble
    truck true trust truth try turn twenty two type under unit until upon use usual valley value
    various very view village visit voice vote wait walk wall want warm wash watch water wave
    way wear weather week weight welcome well west what wheel when where whether which while
    white who whole why wide wife wild will win wind window wine wing winter wise wish with
    within without woman wonder wood word work worker world worry would write wrong yard year
    yellow yes yesterday yet young
"""
WORDS: tuple[str, ...] = tuple(_TEXT.split())
