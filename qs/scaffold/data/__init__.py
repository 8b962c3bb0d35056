"""What a stock data set of the user's data states, as far as files tell; the rest is guessed, and
each guess comes with what states it otherwise.
"""
